import { expect, it } from 'vitest'
import { deviceModel } from './deviceModel'

const mac = 'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)'
const kit = 'AppleWebKit/537.36 (KHTML, like Gecko)'

it.each([
  [`Mozilla/5.0 (Linux; Android 10; K) ${kit} Chrome/126.0.0.0 Mobile Safari/537.36`, 'Chrome 126 Android'],
  [`Mozilla/5.0 (Linux; Android 10; K) ${kit} Chrome/126.0.0.0 Mobile Safari/537.36 EdgA/126.0.0.0`, 'Edge 126 Android'],
  ['Mozilla/5.0 (Android 14; Mobile; rv:127.0) Gecko/127.0 Firefox/127.0', 'Firefox 127 Android'],
  [`Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${kit} Chrome/126.0.0.0 Safari/537.36 Edg/125.0.0.0`, 'Edge 125 Windows'],
  [`Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${kit} Chrome/125.0.0.0 Safari/537.36 OPR/111.0.0.0`, 'Opera 111 Windows'],
  [`${mac} AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15`, 'Safari 17 Mac'],
  [`${mac} ${kit} Chrome/126.0.0.0 Safari/537.36`, 'Chrome 126 Mac'],
  ['Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1', 'Safari 17 iPhone'],
  ['Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/126.0.6478.54 Mobile/15E148 Safari/604.1', 'Chrome 126 iPhone'],
  ['Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.6 Mobile/15E148 Safari/604.1', 'Safari 16 iPad'],
  ['Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0', 'Firefox 127 Linux'],
  ['something else', 'Browser'],
])('calls %s', (userAgent, model) => {
  expect(deviceModel(userAgent)).toBe(model)
})
