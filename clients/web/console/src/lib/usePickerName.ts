import { useId } from 'vue'

/** Names the calendar that a date picker opens: Element makes it a dialog without a name for screen readers. */
export function usePickerName(name: () => string) {
  const pickerClass = `picker-${useId().replace(/\W/g, '')}`
  return {
    pickerClass,
    namePicker: (isOpen: boolean): void => {
      if (isOpen) document.querySelector(`.${pickerClass}[role="dialog"]`)?.setAttribute('aria-label', name())
    },
  }
}
