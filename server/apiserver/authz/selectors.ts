/**
 * Selectors as authorizers see them (KEP-4601): a request's as text, a review's as text or requirements, and back as requirements for
 * webhooks. What an authorizer does not understand restricts nothing, so it is left out: that only ever refuses more. Pure.
 */
export interface SelectorRequirement { key: string; operator: string; values?: string[] }

export interface SelectorAttributes { rawSelector?: string; requirements?: readonly SelectorRequirement[] }

/** How many requirements there are, of a text those between its commas, and how many of them can be used. */
export function usable({ rawSelector, requirements = [] }: SelectorAttributes, of: 'field' | 'label'): { given: number; used: number } {
  if (rawSelector) return { given: splitTerms(rawSelector, of === 'label').length, used: (of === 'field' ? fieldRequirements : labelRequirements)(rawSelector).length }
  const used = requirements.filter((r) => (of === 'field' ? fieldSelectorText : labelSelectorText)({ requirements: [r] }) !== undefined)
  return { given: requirements.length, used: used.length }
}

/** Undefined: nothing that could be used. */
export function fieldSelectorText(given: SelectorAttributes | undefined): string | undefined {
  if (given?.rawSelector) return given.rawSelector
  const terms = (given?.requirements ?? []).flatMap(({ key, operator, values = [] }) => {
    const [value] = values
    if (value === undefined || values.length !== 1) return []
    return operator === 'In' ? [`${key}=${escaped(value)}`] : operator === 'NotIn' ? [`${key}!=${escaped(value)}`] : []
  })
  return terms.length > 0 ? terms.join(',') : undefined
}

export function labelSelectorText(given: SelectorAttributes | undefined): string | undefined {
  if (given?.rawSelector) return given.rawSelector
  const terms = (given?.requirements ?? []).flatMap(({ key, operator, values = [] }) => {
    switch (operator) {
      case 'In': return [`${key} in (${values.join(',')})`]
      case 'NotIn': return [`${key} notin (${values.join(',')})`]
      case 'Exists': return [key]
      case 'DoesNotExist': return [`!${key}`]
      default: return []
    }
  })
  return terms.length > 0 ? terms.join(',') : undefined
}

export function fieldRequirements(selector: string): SelectorRequirement[] {
  return splitTerms(selector).flatMap((term) => {
    const match = /^\s*((?:[^=!\\]|\\.)+?)\s*(!=|==?)(.*)$/.exec(term)
    if (!match) return []
    return [{ key: match[1] ?? '', operator: match[2] === '!=' ? 'NotIn' : 'In', values: [(match[3] ?? '').replaceAll(/\\(.)/g, '$1')] }]
  })
}

export function labelRequirements(selector: string): SelectorRequirement[] {
  return splitTerms(selector, true).flatMap((text): SelectorRequirement[] => {
    const term = text.trim()
    const set = /^(\S+)\s+(in|notin)\s*\(([^)]*)\)$/.exec(term)
    if (set) return [{ key: set[1] ?? '', operator: set[2] === 'in' ? 'In' : 'NotIn', values: (set[3] ?? '').split(',').map((v) => v.trim()).toSorted() }]
    const equal = /^([^=!<>\s]+)\s*(!=|==?)\s*(\S*)$/.exec(term)
    if (equal) return [{ key: equal[1] ?? '', operator: equal[2] === '!=' ? 'NotIn' : 'In', values: [equal[3] ?? ''] }]
    const exists = /^(!?)\s*([^=!<>\s()]+)$/.exec(term)
    return exists ? [{ key: exists[2] ?? '', operator: exists[1] === '!' ? 'DoesNotExist' : 'Exists' }] : []
  })
}

const escaped = (value: string): string => value.replaceAll(/[\\,=]/g, '\\$&')

/** At commas, but for escaped ones and those in parentheses. */
function splitTerms(selector: string, hasSets = false): string[] {
  const terms: string[] = []
  let term = ''
  let depth = 0
  for (let i = 0; i < selector.length; i++) {
    const c = selector.charAt(i)
    if (c === '\\' && !hasSets) {
      term += c + selector.charAt(++i)
      continue
    }
    if (hasSets && c === '(') depth++
    if (hasSets && c === ')') depth--
    if (c === ',' && depth === 0) {
      terms.push(term)
      term = ''
    } else term += c
  }
  return [...terms, term].filter((t) => t.trim() !== '')
}
