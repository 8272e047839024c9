/** Annotations of pods and templates that upstream gives a meaning: mirror pods, deletion cost, and the profiles that became fields (`ValidatePodSpecificAnnotations`). */
import type { Container, ObjectMeta, Pod, PodSpec } from '#api/types/index.ts'
import { type FieldError, forbidden, invalid } from '../field-error.ts'
import { APP_ARMOR_ANNOTATION } from './app-armor-annotation.ts'
import { descendingPath } from './path-validation.ts'

const MIRROR = 'kubernetes.io/config.mirror'
const DELETION_COST = 'controller.kubernetes.io/pod-deletion-cost'
const SECCOMP_POD = 'seccomp.security.alpha.kubernetes.io/pod'
const SECCOMP_CONTAINER = 'container.seccomp.security.alpha.kubernetes.io/'
const LOCAL = 'localhost/'
const INT32 = 2 ** 31

/** `at`: of the metadata. */
export function validatePodAnnotations(meta: ObjectMeta, spec: PodSpec, at = 'metadata'): FieldError[] {
  const out: FieldError[] = []
  const annotations = meta.annotations ?? {}
  const here = `${at}.annotations`
  if (Object.hasOwn(annotations, MIRROR) && !spec.nodeName) out.push(invalid(`${here}[${MIRROR}]`, annotations[MIRROR], 'must set spec.nodeName if mirror pod annotation is set'))
  const cost = Object.hasOwn(annotations, DELETION_COST) ? annotations[DELETION_COST] : undefined
  if (cost !== undefined && !isInt32(cost)) out.push(invalid(`${here}[${DELETION_COST}]`, cost, 'must be a 32bit integer'))
  for (const [key, profile] of Object.entries(annotations)) if (key === SECCOMP_POD || key.startsWith(SECCOMP_CONTAINER)) out.push(...seccompText(`${here}.${key}`, profile))
  for (const [key, profile] of Object.entries(annotations)) {
    if (!key.startsWith(APP_ARMOR_ANNOTATION)) continue
    const name = key.slice(APP_ARMOR_ANNOTATION.length)
    if (!containersOf(spec, '').some(([, c]) => c.name === name)) out.push(invalid(`${here}[${key}]`, name, 'container not found'))
    if (profile !== '' && profile !== 'runtime/default' && profile !== 'unconfined' && !profile.startsWith(LOCAL)) out.push(invalid(`${here}[${key}]`, profile, `invalid AppArmor profile name: ${JSON.stringify(profile)}`))
  }
  return out
}

/** As Go's ParseInt reads it, and without a plus or leading zeros. */
const isInt32 = (text: string): boolean => /^(0|-?[1-9]\d{0,9})$/.test(text) && Number(text) >= -INT32 && Number(text) < INT32

function seccompText(at: string, profile: string): FieldError[] {
  if (profile === 'runtime/default' || profile === 'docker/default' || profile === 'unconfined') return []
  return profile.startsWith(LOCAL) ? descendingPath(at, profile.slice(LOCAL.length)) : [invalid(at, profile, 'must be a valid seccomp profile')]
}

const containersOf = (spec: PodSpec, at: string): [string, Container][] => {
  return (['initContainers', 'containers', 'ephemeralContainers'] as const).flatMap((list) => ((spec[list] ?? []) as Container[]).map((c, i): [string, Container] => [`${at}.${list}[${i}]`, c]))
}

interface Profile { type: string; localhostProfile?: string }

/** What annotation and field both say must be the same. `at`: of the spec. */
export function validateProfileAnnotations(meta: ObjectMeta, spec: PodSpec, at = 'spec'): FieldError[] {
  const annotations = meta.annotations ?? {}
  const of = (key: string): string | undefined => (Object.hasOwn(annotations, key) ? annotations[key] : undefined)
  const windows = spec.os?.name === 'windows'
  return [
    ...matches(`${at}.securityContext.seccompProfile`, 'seccomp', spec.securityContext?.seccompProfile, of(SECCOMP_POD)),
    ...containersOf(spec, at).flatMap(([here, c]) => matches(`${here}.securityContext.seccompProfile`, 'seccomp', c.securityContext?.seccompProfile, of(`${SECCOMP_CONTAINER}${c.name}`))),
    ...containersOf(spec, at).flatMap(([here, c]) => (windows ? [] : matches(`${here}.securityContext.appArmorProfile`, 'apparmor', c.securityContext?.appArmorProfile ?? spec.securityContext?.appArmorProfile, of(`${APP_ARMOR_ANNOTATION}${c.name}`)))),
  ]
}

function matches(at: string, what: 'seccomp' | 'apparmor', profile: Profile | undefined, annotation: string | undefined): FieldError[] {
  if (!profile || annotation === undefined) return []
  const otherType = forbidden(`${at}.type`, `${what} type in annotation and field must match`)
  switch (profile.type) {
    case 'Unconfined': return annotation === 'unconfined' ? [] : [otherType]
    case 'RuntimeDefault': return annotation === 'runtime/default' || (what === 'seccomp' && annotation === 'docker/default') ? [] : [otherType]
    case 'Localhost':
      if (!annotation.startsWith(LOCAL)) return [otherType]
      return annotation.slice(LOCAL.length) === profile.localhostProfile ? [] : [forbidden(`${at}.localhostProfile`, `${what} profile in annotation and field must match`)]
    default: return []
  }
}

/** Of an update: who is a mirror pod stays one, and AppArmor was decided at creation. */
export function validatePodAnnotationChanges(pod: Pod, old: Pod): FieldError[] {
  const [after, before] = [pod.metadata?.annotations ?? {}, old.metadata?.annotations ?? {}]
  const fixed = (key: string): string | undefined => (key === MIRROR ? 'mirror pod annotation' : key.startsWith(APP_ARMOR_ANNOTATION) ? 'AppArmor annotations' : undefined)
  const out: FieldError[] = []
  for (const [key, value] of Object.entries(before)) if (fixed(key) && (!Object.hasOwn(after, key) || after[key] !== value)) out.push(forbidden(`metadata.annotations[${key}]`, `may not remove or update ${fixed(key) ?? ''}`))
  for (const key of Object.keys(after)) if (fixed(key) && !Object.hasOwn(before, key)) out.push(forbidden(`metadata.annotations[${key}]`, `may not add ${fixed(key) ?? ''}`))
  return [...out, ...validatePodAnnotations(pod.metadata ?? {}, pod.spec ?? { containers: [] })]
}
