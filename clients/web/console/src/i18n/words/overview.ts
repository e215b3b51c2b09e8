export const en = {
  overview: {
    tiles: { live: 'Live now', viewers: 'Viewers', messages: 'Messages a second', errors: 'Server errors a second', cpu: 'Processor cores in use', memory: 'Memory' },
    words: '{title}, the last ten minutes: now {now}, lowest {low}, highest {high}.',
    peak: 'at most {value} in ten minutes',
    connections: '{count} open player | {count} open players',
    requests: 'of {rate} requests',
    requestLine: 'Requests',
    cores: 'of {count} | of {count}',
    uptime: 'up for {span}',
    onAir: 'On the air now',
    allLive: 'All rooms on the air',
    nobody: 'Nobody is live now.',
  },
}

export const zh: typeof en = {
  overview: {
    tiles: { live: '正在直播', viewers: '在线观众', messages: '每秒消息', errors: '每秒服务端错误', cpu: '处理器占用（核）', memory: '内存' },
    words: '{title}（最近十分钟）：当前 {now}，最低 {low}，最高 {high}。',
    peak: '十分钟内最高 {value}',
    connections: '{count} 个播放连接',
    requests: '每秒请求 {rate}',
    requestLine: '请求',
    cores: '共 {count} 核',
    uptime: '已运行 {span}',
    onAir: '在播直播间',
    allLive: '全部在播直播间',
    nobody: '现在没有人在直播。',
  },
}
