/** CreateOptions, UpdateOptions, PatchOptions from the query, checked as upstream checks them. */
import type { KubeObject } from '#api/types/index.ts'
import { invalid } from '../http/status.ts'
import { invalid as invalidField, notSupported, tooLong, type FieldError } from '../field-error.ts'
import type { Call } from './call.ts'

export type FieldValidation = 'Ignore' | 'Warn' | 'Strict'

export interface WriteOptions {
  dryRun: boolean
  /** Who managedFields names. */
  fieldManager: string
  /** As given; '' when the User-Agent stands in for it. */
  givenManager: string
  fieldValidation: FieldValidation
  /** Undefined unless given; only apply takes it. */
  force: boolean | undefined
}

const MANAGER_BYTES_MAX = 128

/** `kind`: the options' kind in messages, e.g. `CreateOptions`. */
export function parseWriteOptions(call: Call, kind: string): WriteOptions {
  const { query } = call
  const errors: FieldError[] = []
  const dryRuns = query.all('dryRun')
  if (dryRuns.some((value) => value !== 'All')) errors.push(notSupported('dryRun', dryRuns, ['All']))
  const validation = query.text('fieldValidation')
  if (!['', 'Ignore', 'Warn', 'Strict'].includes(validation)) errors.push(notSupported('fieldValidation', validation, ['', 'Ignore', 'Strict', 'Warn']))
  const givenManager = query.text('fieldManager')
  if (Buffer.byteLength(givenManager) > MANAGER_BYTES_MAX) errors.push(tooLong('fieldManager', MANAGER_BYTES_MAX))
  errors.push(...unprintable(givenManager))
  if (errors.length > 0) throw invalid({ group: 'meta.k8s.io', kind }, '', errors)
  return {
    dryRun: dryRuns.length > 0,
    givenManager,
    fieldManager: givenManager === '' ? managerOf(call.headers['user-agent'] ?? '') : givenManager,
    fieldValidation: validation === '' ? 'Warn' : (validation as FieldValidation),
    force: query.optionalFlag('force'),
  }
}

/** One error for each character that Go's unicode.IsPrint refuses; positions are bytes. */
function unprintable(manager: string): FieldError[] {
  const errors: FieldError[] = []
  let at = 0
  for (const character of manager.length > MANAGER_BYTES_MAX ? '' : manager) {
    if (UNPRINTABLE.test(character)) errors.push(invalidField('fieldManager', manager, `invalid character U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')} (at position ${at})`))
    at += Buffer.byteLength(character)
  }
  return errors
}

const UNPRINTABLE = /[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/u

/** What admission is told of a write's options: as they were sent, whatever the verb (a patch is an update or a creation). */
export function admissionOptions({ query }: Call, kind: 'CreateOptions' | 'UpdateOptions'): KubeObject {
  const dryRun = query.all('dryRun').filter((v) => v !== '')
  const [fieldManager, fieldValidation] = [query.text('fieldManager'), query.text('fieldValidation')]
  return { kind, apiVersion: 'meta.k8s.io/v1', ...(dryRun.length > 0 && { dryRun }), ...(fieldManager !== '' && { fieldManager }), ...(fieldValidation !== '' && { fieldValidation }) } as KubeObject
}

/** The User-Agent up to its first slash, printable characters only: upstream's default manager. */
export function managerOf(userAgent: string): string {
  const [name = ''] = userAgent.split('/', 1)
  return name.replace(/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu, '').slice(0, MANAGER_BYTES_MAX) || 'unknown'
}
