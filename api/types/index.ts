/** The API's objects as plain types, and the few helpers every part needs to speak of them. */
export type * from './generated/models.ts'
export * from './object.ts'
export * from './resources.ts'
export { ANONYMOUS, type UserInfo } from './user.ts'
