/** What upstream says of finalizers on custom resources whose names may clash with others'. */
import { checkQualifiedName, type KubeObject } from '#api/types/index.ts'

const STANDARD: ReadonlySet<string> = new Set(['orphan', 'foregroundDeletion', 'kubernetes'])

export function finalizerWarnings(object: KubeObject, old?: KubeObject): string[] {
  const before = new Set(old?.metadata?.finalizers)
  const added = [...new Set(object.metadata?.finalizers)].filter((name) => !before.has(name)).sort()
  return added.flatMap((name) => {
    const shown = `metadata.finalizers: ${JSON.stringify(name)}: `
    const out = checkQualifiedName(name).map((message) => shown + message)
    if (!name.includes('/') && !STANDARD.has(name)) {
      out.push(`${shown}prefer a domain-qualified finalizer name ${name.includes('.') ? 'including a path (/) ' : ''}to avoid accidental conflicts with other finalizer writers`)
    }
    return out
  })
}
