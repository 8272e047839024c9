/** Which release this is. The build replaces the two constants; from source they are unknown. */
declare const SKIFF_VERSION: string | undefined
declare const SKIFF_COMMIT: string | undefined

export const SKIFF_VERSION_TEXT: string = typeof SKIFF_VERSION === 'string' ? SKIFF_VERSION : '0.1.0-dev'
export const SKIFF_COMMIT_ID: string = typeof SKIFF_COMMIT === 'string' ? SKIFF_COMMIT : 'unknown'
/** The Kubernetes release whose API this is. */
export const KUBERNETES_MINOR = '36'
/** What /version and a node's kubeletVersion say; clients compare the part before `+`. */
export const GIT_VERSION = `v1.${KUBERNETES_MINOR}.0+skiff${SKIFF_VERSION_TEXT.replace(/-.*/, '')}`
