import './styles/element'
import { startTheme } from '@stoa/shared/lib/theme'
import '@stoa/shared/styles/tokens.css'
import '@stoa/shared/styles/base.css'
import './styles/element.css'
import './styles/console.css'
import { createApp } from 'vue'
import { takeSetupToken } from './account/setupToken'
import App from './App.vue'
import { i18n } from './i18n'
import { router } from './router'

startTheme()
// Before the router reads the address, which it would write into the history again.
takeSetupToken()
createApp(App).use(router).use(i18n).mount('#app')
