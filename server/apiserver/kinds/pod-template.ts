/** What every kind with a pod template checks about it, and the PodTemplate kind itself. */
import type { LabelSelector, PodTemplate, PodTemplateSpec } from '#api/types/index.ts'
import { compileLabelSelector } from '#api/types/index.ts'
import { type FieldError, forbidden, invalid, notSupported, required } from '../field-error.ts'
import type { KindStrategy } from '../kind.ts'
import { checkLabelSelector, checkLabels, isEmptySelector } from './check.ts'
import { validateAnnotations } from './object-meta.ts'
import { defaultPodTemplate } from './pod-defaults.ts'
import { validatePodSpec } from './pod-spec-validation.ts'
import { workloadWarnings } from './pod-warnings.ts'
import { column, containerImages, containerNames, formatLabels, nameColumn } from './table-columns.ts'

export function validatePodTemplate(at: string, template: PodTemplateSpec | undefined): FieldError[] {
  if (!template) return [required(at)]
  const out = [
    ...checkLabels(`${at}.metadata.labels`, template.metadata?.labels),
    ...validateAnnotations(`${at}.metadata.annotations`, template.metadata?.annotations),
    ...validatePodSpec(`${at}.spec`, template.spec ?? { containers: [] }),
  ]
  if ((template.spec?.ephemeralContainers ?? []).length > 0) out.push(forbidden(`${at}.spec.ephemeralContainers`, 'ephemeral containers not allowed in pod template'))
  return out
}

/** For kinds that keep their pods running: selector, labels that match it, restartPolicy Always. */
export function validateSelectedTemplate(kind: string, selector: LabelSelector | undefined, template: PodTemplateSpec | undefined): FieldError[] {
  const selectorErrors = validateSelector(kind, selector)
  return [...selectorErrors, ...validateTemplateFor(kind, selectorErrors.length === 0 ? selector : undefined, template)]
}

function validateSelector(kind: string, selector: LabelSelector | undefined): FieldError[] {
  if (!selector) return [required('spec.selector')]
  const out = checkLabelSelector('spec.selector', selector)
  return isEmptySelector(selector) ? [...out, invalid('spec.selector', selector, `empty selector is invalid for ${kind.toLowerCase()}`)] : out
}

/** `selector` undefined: it is not to be compared with the template. */
export function validateTemplateFor(kind: string, selector: LabelSelector | undefined, template: PodTemplateSpec | undefined, at = 'spec.template'): FieldError[] {
  if (!template) return [required(at)]
  const out: FieldError[] = []
  const labels = template.metadata?.labels
  if (selector && !isEmptySelector(selector) && !compileLabelSelector(selector).matches(labels)) out.push(invalid(`${at}.metadata.labels`, labels ?? {}, '`selector` does not match template `labels`'))
  out.push(...validatePodTemplate(at, template))
  const policy = template.spec?.restartPolicy
  if (policy !== 'Always') out.push(notSupported(`${at}.spec.restartPolicy`, policy ?? '', ['Always']))
  if (template.spec?.activeDeadlineSeconds !== undefined) out.push(forbidden(`${at}.spec.activeDeadlineSeconds`, `activeDeadlineSeconds in ${kind} is not Supported`))
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
