export const en = {
  talk: {
    title: 'Chat',
    more: 'Show all',
    less: 'Show less',
    status: { connecting: 'Connecting', open: 'Open', reconnecting: 'Coming back', away: 'Disconnected', refused: 'This chat does not exist any more' },
    comeBack: 'Connect again',
    none: 'Nobody has written anything yet.',
    deleted: 'deleted',
    deleteOf: 'Delete the message of {name}',
    muteOf: 'Mute {name}',
    waiting: '{count} new message | {count} new messages',
    pick: 'Rooms',
    pickHint: 'Choose a room to follow its chat.',
    other: 'Other room',
  },
}

export const zh: typeof en = {
  talk: {
    title: '聊天',
    more: '展开',
    less: '收起',
    status: { connecting: '连接中', open: '已连接', reconnecting: '正在恢复', away: '已断开', refused: '这个聊天已不存在' },
    comeBack: '重新连接',
    none: '还没有人发言。',
    deleted: '已删除',
    deleteOf: '删除“{name}”的消息',
    muteOf: '禁言“{name}”',
    waiting: '{count} 条新消息',
    pick: '直播间',
    pickHint: '选择一个直播间，查看实时聊天。',
    other: '换一个直播间',
  },
}
