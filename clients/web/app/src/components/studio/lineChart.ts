/** Line charts of the studio; loaded with the first one, since ECharts is heavier than the rest of the page. */
import { LineChart } from 'echarts/charts'
import { GridComponent } from 'echarts/components'
import { init, use } from 'echarts/core'
import { CanvasRenderer } from 'echarts/renderers'

use([LineChart, GridComponent, CanvasRenderer])

export interface ChartLook {
  line: string
  grid: string
  text: string
}

export interface ChartData {
  /** Seconds before now (none or less), and values. */
  points: [seconds: number, value: number | null][]
  windowSeconds: number
  /** The chart shows at least up to here. */
  atLeast: number
  /** What stands at the time axis, seconds before now. */
  timeLabel: (seconds: number) => string
}

export interface Chart {
  draw: (data: ChartData, look: ChartLook) => void
  resize: () => void
  dispose: () => void
}

export function createChart(host: HTMLElement): Chart {
  const chart = init(host, null, { renderer: 'canvas' })
  return {
    draw({ points, windowSeconds, atLeast, timeLabel }, { line, grid, text }) {
      const top = niceTop(Math.max(atLeast, ...points.map(([, value]) => value ?? 0)))
      const label = { color: text, fontSize: 11 }
      chart.setOption({
        // A line that is redrawn each second moves by itself.
        animation: false,
        grid: { left: 38, right: 10, top: 8, bottom: 20 },
        xAxis: {
          type: 'value', min: -windowSeconds, max: 0, interval: 60,
          axisLabel: { ...label, formatter: timeLabel, alignMaxLabel: 'right', hideOverlap: true },
          axisLine: { lineStyle: { color: grid } }, axisTick: { show: false }, splitLine: { show: false },
        },
        yAxis: {
          type: 'value', min: 0, max: top, interval: top / 2,
          axisLabel: label, axisLine: { show: false }, axisTick: { show: false }, splitLine: { lineStyle: { color: grid } },
        },
        series: [{ type: 'line', data: points, showSymbol: false, silent: true, connectNulls: false, lineStyle: { width: 1.75, color: line } }],
      })
    },
    resize: () => chart.resize(),
    dispose: () => chart.dispose(),
  }
}

/** A round number above the highest value, with some air. */
export function niceTop(value: number): number {
  const wanted = value * 1.1
  const size = 10 ** Math.floor(Math.log10(wanted || 1))
  return ([1, 2, 3, 4, 6, 8, 10].find((step) => step * size >= wanted) ?? 10) * size
}
