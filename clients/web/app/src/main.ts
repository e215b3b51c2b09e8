import { startTheme } from '@stoa/shared/lib/theme'
import '@stoa/shared/styles/tokens.css'
import '@stoa/shared/styles/base.css'
import '@stoa/shared/styles/overlay.css'
import { createApp } from 'vue'
import App from './App.vue'
import { i18n } from './i18n'
import { router } from './router'

startTheme()
createApp(App).use(router).use(i18n).mount('#app')
