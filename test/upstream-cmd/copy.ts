/** A copy of what the suites need of upstream's source, with the edits made. */
import { cpSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Release } from './release.ts'

const FOLDERS = ['hack/lib', 'hack/testdata', 'test/cmd', 'test/fixtures', 'test/e2e/testing-manifests', 'third_party/forked/shell2junit']

/** What stands between the suites, in upstream's runTests itself, as suites of their own: from the line with the one text to that with the other. */
const INLINE = [
  ['find_all', '# find all resources', '# Cluster Role #'],
  ['auth_can_i', '# kubectl auth can-i', '# kubectl auth reconcile'],
  ['auth_reconcile', '# kubectl auth reconcile', '# Retrieve multiple #'],
] as const

/** Instead of ending at a failure. The trap is the function's own: what it calls fails as a whole. */
const GO_ON = `set +o errexit; set +o errtrace; trap 'note_failure $LINENO "$BASH_COMMAND"' ERR`

/** What follows may fail, upstream, too. */
const LET_FAIL = 'set +o errexit; trap - ERR'

/** Makes `to` anew from `source`, which is of `release`, for a kubectl of this minor version. */
export function copySource(source: string, to: string, release: Release, kubectlMinor: number): void {
  rmSync(to, { recursive: true, force: true })
  for (const folder of FOLDERS) cpSync(join(source, folder), join(to, folder), { recursive: true })
  mkdirSync(join(to, 'tmp'))
  for (const edit of release.edits) {
    if (edit.kubectl && !edit.kubectl(kubectlMinor)) continue
    for (const file of edit.files) {
      const path = join(to, file)
      const before = readFileSync(path, 'utf8')
      const after = typeof edit.to === 'string' ? before.replaceAll(edit.from, edit.to) : before.replaceAll(edit.from, edit.to)
      if (after === before) throw new Error(`${file}: nothing to edit for "${edit.reason}": is the source another release than ${release.name}?`)
      // Else the report would name other lines than upstream's.
      if (file.endsWith('.sh') && after.split('\n').length !== before.split('\n').length) throw new Error(`${file}: "${edit.reason}" makes ${after.split('\n').length - before.split('\n').length} more lines`)
      writeFileSync(path, after)
    }
  }
  const script = readFileSync(join(to, 'test/cmd/legacy-script.sh'), 'utf8')
  for (const [name, from, until] of INLINE) writeFileSync(join(to, `test/cmd/inline-${name}.sh`), inlineSuite(script, name, from, until))
  for (const name of readdirSync(join(to, 'test/cmd')).filter((n) => n.endsWith('.sh') && n !== 'legacy-script.sh')) {
    const path = join(to, 'test/cmd', name)
    writeFileSync(path, readFileSync(path, 'utf8')
      .replaceAll(/^( *)set (?:-o errexit|-e pipefail.*)$/gm, (_, indent: string) => indent + GO_ON)
      .replaceAll(/^( *)set \+(?:o errexit|e pipefail.*)$/gm, (_, indent: string) => indent + LET_FAIL)
      .replaceAll(/(^|\|\| ) *exit 1 *$/gm, '$1false'))
  }
}

/** Names of upstream's suites, in upstream's order. */
export function suiteNames(source: string): string[] {
  const script = readFileSync(join(source, 'test/cmd/legacy-script.sh'), 'utf8')
  const names = [...script.matchAll(/^ *(?:record_command )?run_(\w+?)(?:_tests?)?$|^ *(# find all resources|# kubectl auth can-i|# kubectl auth reconcile)$/gm)].map((m) => m[1] ?? INLINE.find(([, from]) => from === m[2])?.[0] ?? '')
  return [...new Set(names)].filter((n) => n !== 'kubectl' && n !== '')
}

/** Lines keep their numbers, for the report. */
function inlineSuite(script: string, name: string, from: string, until: string): string {
  const lines = script.split('\n')
  const start = lines.findIndex((l) => l.trim() === from)
  const end = lines.findIndex((l, i) => i > start && l.trim().replace(/^#+ *$/, '') === until)
  if (start < 0 || end < 0) throw new Error(`legacy-script.sh: no lines from "${from}" to "${until}": is the source of another release?`)
  return [...lines.slice(0, start).map(() => ''), `run_${name}_tests() { ${GO_ON}`, ...lines.slice(start + 1, end), '}', ''].join('\n')
}
