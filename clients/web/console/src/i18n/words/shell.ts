export const en = {
  title: 'Console',
}

export const zh: typeof en = {
  title: '控制台',
}
