/** Labels of nodes that have other names by now. */
import type { NodeSelectorTerm } from '#api/types/index.ts'

const REPLACED: Readonly<Record<string, string>> = {
  'beta.kubernetes.io/arch': 'deprecated since v1.14; use "kubernetes.io/arch" instead',
  'beta.kubernetes.io/os': 'deprecated since v1.14; use "kubernetes.io/os" instead',
  'failure-domain.beta.kubernetes.io/region': 'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
  'failure-domain.beta.kubernetes.io/zone': 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
  'beta.kubernetes.io/instance-type': 'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
}

const replacedBy = (label: string): string | undefined => (Object.hasOwn(REPLACED, label) ? REPLACED[label] : undefined)

/** `at`: where the label is a map's key. */
export function nodeSelectorWarnings(at: string, selector: Readonly<Record<string, string>> | undefined): string[] {
  return Object.keys(selector ?? {}).flatMap((key) => (replacedBy(key) === undefined ? [] : [`${at}[${key}]: ${replacedBy(key)}`]))
}

/** `at`: where the label is a value. */
export function nodeLabelWarnings(at: string, label: string | undefined): string[] {
  const message = replacedBy(label ?? '')
  return message === undefined ? [] : [`${at}: ${label} is ${message}`]
}

export function nodeTermWarnings(at: string, term: NodeSelectorTerm | undefined): string[] {
  return [
    ...(term?.matchExpressions ?? []).flatMap(({ key }, i) => nodeLabelWarnings(`${at}.matchExpressions[${i}].key`, key)),
    ...(term?.matchFields ?? []).flatMap(({ key }, i) => nodeLabelWarnings(`${at}.matchFields[${i}].key`, key)),
  ]
}
