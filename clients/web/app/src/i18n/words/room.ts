export const en = {
  room: {
    missingTitle: 'There is no such room',
    missingText: 'The link may be old, or a letter of it got lost.',
    toHome: 'See who is live',
    like: 'Like',
    since: 'Live since {time}',
  },
  likes: '{count} like | {count} likes',
}

export const zh: typeof en = {
  room: {
    missingTitle: '没有这个直播间',
    missingText: '链接可能已经过期，或者不完整。',
    toHome: '看看谁在直播',
    like: '点赞',
    since: '{time} 开播',
  },
  likes: '{count} 个赞',
}
