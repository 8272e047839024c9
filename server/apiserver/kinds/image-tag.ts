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

const isReference = (name: string): boolean => /^[a-zA-Z0-9][\w.:/-]*$/.test(name) && name.slice(name.lastIndexOf('/') + 1) === name.slice(name.lastIndexOf('/') + 1).toLowerCase()
