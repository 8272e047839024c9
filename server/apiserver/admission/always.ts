/** AlwaysAdmit (upstream keeps it for old command lines) and AlwaysDeny (for tests of clients). */
import type { AdmissionPlugin } from '../admission.ts'
import { refuse } from './refuse.ts'

export const alwaysAdmit: AdmissionPlugin = { name: 'AlwaysAdmit' }

const deny = () => Promise.resolve(refuse('admission control is denying all modifications'))

export const alwaysDeny: AdmissionPlugin = { name: 'AlwaysDeny', mutate: deny, validate: deny }
