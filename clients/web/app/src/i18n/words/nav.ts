export const en = {
  nav: { home: 'Live', goLive: 'Go live', signIn: 'Sign in', signOut: 'Sign out', skip: 'Skip to content' },
}

export const zh: typeof en = {
  nav: { home: '直播', goLive: '开播', signIn: '登录', signOut: '退出登录', skip: '跳到正文' },
}
