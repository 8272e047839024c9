/** The one thing defaulting asks of an image reference: whether it means `:latest`. */

/** `Always` for `:latest` or no tag and no digest, else `IfNotPresent`. */
export function defaultPullPolicy(image: string | undefined): 'Always' | 'IfNotPresent' {
  const reference = image ?? ''
  const digest = reference.indexOf('@')
  const name = digest < 0 ? reference : reference.slice(0, digest)
  // A colon before the last slash belongs to the registry's port.
  const colon = name.indexOf(':', name.lastIndexOf('/') + 1)
  const tag = colon < 0 ? '' : name.slice(colon + 1)
  if (tag === '' && (digest >= 0 || !isReference(name))) return 'IfNotPresent'
  return tag === '' || tag === 'latest' ? 'Always' : 'IfNotPresent'
}

/** Longest name without its tag that a registry may have; 64 hexadecimal digits alone are an image's id. */
const NAME_LENGTH_MAX = 255

/** With the registry that is meant where none is named. */
const familiarLength = (name: string): number => name.length + (name.includes('/') ? 0 : 'docker.io/library/'.length)

const isReference = (name: string): boolean => familiarLength(name) <= NAME_LENGTH_MAX && !/^[0-9a-f]{64}$/.test(name) && /^[a-zA-Z0-9][\w.:/-]*$/.test(name) && name.slice(name.lastIndexOf('/') + 1) === name.slice(name.lastIndexOf('/') + 1).toLowerCase()
