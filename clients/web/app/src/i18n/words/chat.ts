export const en = {
  chat: {
    title: 'Chat',
    empty: 'No messages yet. Say hello.',
    placeholder: 'Say something',
    send: 'Send',
    signInToTalk: 'Sign in to talk',
    newMessages: '{count} new message | {count} new messages',
    latest: 'To the latest',
    connecting: 'Connecting to the chat',
    reconnecting: 'Chat is reconnecting',
    refused: 'The chat of this room is closed.',
    failed: 'Not sent.',
    resend: 'Send again',
    discard: 'Discard',
    you: 'You',
    tooLong: '{count} characters too many',
  },
}

export const zh: typeof en = {
  chat: {
    title: '聊天',
    empty: '还没有消息，打个招呼吧。',
    placeholder: '说点什么',
    send: '发送',
    signInToTalk: '登录后聊天',
    newMessages: '{count} 条新消息',
    latest: '回到最新',
    connecting: '正在连接聊天',
    reconnecting: '聊天正在重新连接',
    refused: '此直播间的聊天已关闭。',
    failed: '未发送。',
    resend: '重新发送',
    discard: '丢弃',
    you: '我',
    tooLong: '超出 {count} 个字符',
  },
}
