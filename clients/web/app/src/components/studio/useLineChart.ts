import { usePreferredDark, useResizeObserver } from '@vueuse/core'
import { nextTick, onScopeDispose, watch, type Ref } from 'vue'
import { theme } from '@stoa/shared/lib/theme'
import type { Chart, ChartData, ChartLook } from './lineChart'

/** Colours of the page as they are right now: a canvas knows nothing of tokens. */
function lookOf(host: HTMLElement): ChartLook {
  const { color, borderTopColor, textDecorationColor } = getComputedStyle(host)
  return { line: color, grid: borderTopColor, text: textDecorationColor }
}

/** Draws a line chart into an element, anew with every change of its data, its size or the page's appearance. */
export function useLineChart(host: Readonly<Ref<HTMLElement | null>>, data: Readonly<Ref<ChartData>>): void {
  const isDark = usePreferredDark()
  let chart: Chart | undefined
  let isOver = false

  function draw(): void {
    if (chart && host.value) chart.draw(data.value, lookOf(host.value))
  }

  watch(host, async (element) => {
    if (!element || chart) return
    const { createChart } = await import('./lineChart')
    if (isOver) return
    chart = createChart(element)
    draw()
  }, { immediate: true })
  watch(data, draw)
  watch([theme, isDark], () => void nextTick(draw))
  useResizeObserver(host, () => chart?.resize())
  onScopeDispose(() => {
    isOver = true
    chart?.dispose()
  })
}
