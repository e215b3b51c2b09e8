export const en = {
  home: {
    title: 'Live now',
    others: 'Not live right now',
    more: 'Show more',
    emptyTitle: 'Nobody is live right now',
    emptyText: 'Rooms appear here the moment they go on the air.',
    noneTitle: 'No rooms yet',
    noneText: 'Open the first one: you need OBS or ffmpeg, and about a minute.',
  },
}

export const zh: typeof en = {
  home: {
    title: '正在直播',
    others: '暂未开播',
    more: '显示更多',
    emptyTitle: '现在没有人在直播',
    emptyText: '有人开播时，直播间会立刻出现在这里。',
    noneTitle: '还没有直播间',
    noneText: '来开第一个吧：准备好 OBS 或 ffmpeg，大约一分钟。',
  },
}
