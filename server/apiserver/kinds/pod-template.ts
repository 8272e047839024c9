/** What every kind with a pod template checks about it, and the PodTemplate kind itself. */
import type { LabelSelector, PodTemplate, PodTemplateSpec } from '#api/types/index.ts'
import { compileLabelSelector } from '#api/types/index.ts'
import { type FieldError, forbidden, invalid, notSupported, required } from '../field-error.ts'
import type { KindStrategy } from '../kind.ts'
import { checkLabelSelector, checkLabels, isEmptySelector } from './check.ts'
import { validateAnnotations } from './object-meta.ts'
import { validatePodAnnotations, validateProfileAnnotations } from './pod-annotation-validation.ts'
import { defaultPodTemplate } from './pod-defaults.ts'
import { validatePodSpec } from './pod-spec-validation.ts'
import { workloadWarnings } from './pod-warnings.ts'
import { column, containerImages, containerNames, formatLabels, nameColumn } from './table-columns.ts'

export function validatePodTemplate(at: string, template: PodTemplateSpec | undefined): FieldError[] {
  if (!template) return [required(at)]
  const { metadata = {}, spec = { containers: [] } } = template
  const out = [
    ...checkLabels(`${at}.labels`, metadata.labels),
    ...validateAnnotations(`${at}.annotations`, metadata.annotations),
    ...validatePodAnnotations(metadata, spec, at),
    ...validatePodSpec(`${at}.spec`, spec),
    ...validateProfileAnnotations(metadata, spec, `${at}.spec`),
  ]
  if ((spec.ephemeralContainers ?? []).length > 0) out.push(forbidden(`${at}.spec.ephemeralContainers`, 'ephemeral containers not allowed in pod template'))
  return out
}

/** What kinds that keep their pods running differ in. */
export interface TemplateUse { kind: string; /** Of which complaints speak instead: what it makes its pods by. */ makes?: string; /** Said of a selector that cannot be compiled, and the template is not looked at; without it, nothing is said, nor of a selector that is not there. */ invalidSelector?: string }

/** For kinds that keep their pods running: selector, labels that match it, restartPolicy Always. */
export function validateSelectedTemplate(use: TemplateUse, selector: LabelSelector | undefined, template: PodTemplateSpec | undefined): FieldError[] {
  const errors = checkLabelSelector('spec.selector', selector)
  const strict = use.invalidSelector !== undefined
  const out = selector || !strict ? [...errors] : [required('spec.selector')]
  if (selector && isEmptySelector(selector)) out.push(invalid('spec.selector', selector, `empty selector is invalid for ${use.kind.toLowerCase()}`))
  // A selector that is not there matches nothing, an empty one everything.
  if (errors.length > 0 && strict) return [...out, invalid('spec.selector', selector, use.invalidSelector ?? '')]
  return [...out, ...validateTemplateFor(use, (labels) => errors.length > 0 || (!!selector && compileLabelSelector(selector).matches(labels)), template)]
}

export function validateTemplateFor(use: TemplateUse, matches: (labels: Readonly<Record<string, string>> | undefined) => boolean, template: PodTemplateSpec | undefined, at = 'spec.template'): FieldError[] {
  if (!template) return [required(at)]
  const out: FieldError[] = []
  const labels = template.metadata?.labels
  if (!matches(labels)) out.push(invalid(`${at}.metadata.labels`, labels ?? null, '`selector` does not match template `labels`'))
  out.push(...validatePodTemplate(at, template))
  const policy = template.spec?.restartPolicy
  if (policy !== 'Always') out.push(notSupported(`${at}.spec.restartPolicy`, policy ?? '', ['Always']))
  if (template.spec?.activeDeadlineSeconds !== undefined) out.push(forbidden(`${at}.spec.activeDeadlineSeconds`, `activeDeadlineSeconds in ${use.makes ?? use.kind} is not Supported`))
  return out
}

export const podTemplateStrategy: KindStrategy<PodTemplate> = {
  generation: (object, old) => JSON.stringify(object.template) !== JSON.stringify(old.template),
  defaults: (object) => defaultPodTemplate(object.template),
  validate: (object) => validatePodTemplate('template', object.template),
  validateUpdate: (object) => validatePodTemplate('template', object.template),
  warnings: workloadWarnings<PodTemplate>('template', (o) => o.template, false),
  columns: [
    nameColumn(),
    column('Containers', 'Names of each container in the template.', (o) => containerNames(o.template?.spec?.containers)),
    column('Images', 'Images referenced by each container in the template.', (o) => containerImages(o.template?.spec?.containers)),
    column('Pod Labels', 'The labels for the pod template.', (o) => formatLabels(o.template?.metadata?.labels)),
  ],
}
