/** What the studio says of the stream that arrives; a part of its words. */
export const en = {
  health: 'Stream health',
  measuring: 'Measuring for a moment.',
  video: 'Video',
  audio: 'Audio',
  bitrate: 'Bitrate',
  frameRate: 'Frame rate',
  keyframes: 'Keyframe distance',
  dropped: 'Lost frames',
  perSecond: 'a second',
  gaps: 'Breaks',
  connections: 'Players connected',
  none: 'none',
  chartNow: 'now',
  chartMinutes: '−{minutes} min',
  chartRange: 'low {min} · high {max}',
  advice: {
    noVideo: { title: 'No picture arrives', text: 'Check that your encoder has a video source, and that it is switched on.' },
    noAudio: { title: 'No sound arrives', text: 'Check that your encoder has a microphone or another audio source, and that it is not switched off.' },
    keyframes: {
      title: 'Keyframes come every {seconds} s',
      text: 'Set 2 s in your encoder. Viewers then start sooner, and recover sooner from a loss.',
    },
    bitrateCollapses: {
      title: 'The bitrate drops to {kbps} kbit/s now and then',
      text: 'Your connection gives way. Use a cable instead of Wi-Fi, stop other uploads, or set a bitrate well below {usual} kbit/s.',
    },
    droppedFrames: {
      title: '{count} frame was lost in the last minute | {count} frames were lost in the last minute',
      text: 'Your computer or your connection is too slow. Choose a faster encoder preset or a smaller picture, and close other programs.',
    },
    gaps: {
      title: 'The stream broke off once in the last minutes | The stream broke off {count} times in the last minutes',
      text: 'Check your connection. A cable is steadier than Wi-Fi.',
    },
    frameRateLow: {
      title: 'Only {fps} frames a second',
      text: 'From {wanted} on, movement looks smooth. Set it in your encoder; if it is set, choose a faster preset or a smaller picture.',
    },
    frameRateUnsteady: {
      title: 'The frame rate moves between {low} and {high}',
      text: 'Set a fixed frame rate, and close other programs that use the processor.',
    },
    bitrateLow: {
      title: '{kbps} kbit/s is little for {height}p',
      text: 'A still picture needs no more. For movement, {wanted} kbit/s look sharp.',
    },
    bitrateHigh: {
      title: '{kbps} kbit/s is much for {height}p',
      text: 'Viewers with slower connections will stall. {wanted} kbit/s are enough.',
    },
    allWell: { title: 'All is well', text: 'Picture and sound arrive steadily.' },
  },
}

export const zh: typeof en = {
  health: '直播质量',
  measuring: '正在检测，请稍候。',
  video: '视频',
  audio: '音频',
  bitrate: '码率',
  frameRate: '帧率',
  keyframes: '关键帧间隔',
  dropped: '丢帧',
  perSecond: '帧/秒',
  gaps: '中断次数',
  connections: '已连接的播放器',
  none: '无',
  chartNow: '现在',
  chartMinutes: '{minutes} 分钟前',
  chartRange: '最低 {min} · 最高 {max}',
  advice: {
    noVideo: { title: '没有收到画面', text: '请检查推流软件是否添加了视频来源，并且没有关闭。' },
    noAudio: { title: '没有收到声音', text: '请检查推流软件是否添加了麦克风或其他音频来源，并且没有静音。' },
    keyframes: { title: '关键帧每 {seconds} 秒一个', text: '请在编码器中设为 2 秒，观众打开更快，卡顿后恢复也更快。' },
    bitrateCollapses: {
      title: '码率不时跌到 {kbps} kbit/s',
      text: '上行网络不稳定。请改用网线、停止其他上传，或把码率设到明显低于 {usual} kbit/s。',
    },
    droppedFrames: {
      title: '最近一分钟丢了 {count} 帧',
      text: '电脑或网络跟不上。请选择更快的编码预设或更低的分辨率，并关闭其他程序。',
    },
    gaps: { title: '最近几分钟推流中断了 {count} 次', text: '请检查网络，网线比 Wi-Fi 更稳定。' },
    frameRateLow: {
      title: '帧率只有 {fps} 帧/秒',
      text: '{wanted} 帧以上画面才流畅。请在编码器中设置；如果已经设置，请选择更快的预设或更低的分辨率。',
    },
    frameRateUnsteady: { title: '帧率在 {low} 到 {high} 之间波动', text: '请设置固定帧率，并关闭占用处理器的其他程序。' },
    bitrateLow: { title: '{kbps} kbit/s 对 {height}p 来说偏低', text: '静止画面够用；如果画面常动，{wanted} kbit/s 左右更清晰。' },
    bitrateHigh: { title: '{kbps} kbit/s 对 {height}p 来说偏高', text: '网速较慢的观众会卡顿，{wanted} kbit/s 左右就够了。' },
    allWell: { title: '一切正常', text: '画面和声音稳定到达。' },
  },
}
