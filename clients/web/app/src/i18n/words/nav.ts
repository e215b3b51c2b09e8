export const en = {
  nav: {
    home: 'Live',
    goLive: 'Go live',
    signIn: 'Sign in',
    signOut: 'Sign out',
    account: 'Account',
    console: 'Console',
    menu: 'Menu: account, appearance, language',
    pages: 'Pages',
    skip: 'Skip to content',
  },
}

export const zh: typeof en = {
  nav: {
    home: '直播',
    goLive: '开播',
    signIn: '登录',
    signOut: '退出登录',
    account: '账号设置',
    console: '管理后台',
    menu: '菜单：账号、外观和语言',
    pages: '页面',
    skip: '跳到正文',
  },
}
