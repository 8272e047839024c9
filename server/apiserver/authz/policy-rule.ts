/** Writing rules as one line each: `rule('get,list', '', 'pods,pods/log')`. For the tables of default roles. */
import type { PolicyRule } from '#api/types/index.ts'

export const READ = 'get,list,watch'
export const WRITE = 'create,delete,deletecollection,patch,update'
export const READ_WRITE = 'create,delete,deletecollection,get,list,patch,update,watch'

const words = (text: string): string[] => text.split(',').map((w) => w.trim())

/** Comma-separated lists; the core group is the empty word. */
export function rule(verbs: string, apiGroups: string, resources: string, resourceNames?: string): PolicyRule {
  return { verbs: words(verbs), apiGroups: words(apiGroups), resources: words(resources), ...(resourceNames !== undefined && { resourceNames: words(resourceNames) }) }
}

export function urls(verbs: string, nonResourceURLs: string): PolicyRule {
  return { verbs: words(verbs), nonResourceURLs: words(nonResourceURLs) }
}

/** What every component that reports events needs. */
export const EVENTS: PolicyRule = rule('create,patch,update', ',events.k8s.io', 'events')
