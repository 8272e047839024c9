/**
 * What is changed in the source of upstream's end-to-end suite of 1.20 before it is compiled: what rests on something that
 * 1.36 does not have. Nothing is changed to suit skiff. `node test/conformance/edits.ts SOURCE DIR` writes the changed
 * files and `overlay.json`, for `go build -overlay`, into DIR.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'

interface Edit { readonly file: string; readonly from: string; readonly to: string; readonly reason: string }

const EDITS: readonly Edit[] = [
  {
    file: 'test/e2e/framework/util.go', from: 'return len(t.Secrets) > 0, nil', to: 'return t != nil, nil',
    reason: 'no token Secret is made for a ServiceAccount since 1.24: the framework waits until the account is there, as it does from 1.24 on',
  },
]

const [source = '', dir = ''] = process.argv.slice(2).map((path) => resolve(path))
mkdirSync(dir, { recursive: true })
const texts = new Map<string, string>()
for (const { file, from, to } of EDITS) {
  const text = texts.get(file) ?? readFileSync(join(source, file), 'utf8')
  if (!text.includes(from)) throw new Error(`${file} does not have: ${from}`)
  texts.set(file, text.replaceAll(from, to))
}
const replaced = [...texts].map(([file, text], i): [string, string] => {
  const changed = join(dir, `${i}-${basename(file)}`)
  writeFileSync(changed, text)
  return [join(source, file), changed]
})
writeFileSync(join(dir, 'overlay.json'), JSON.stringify({ Replace: Object.fromEntries(replaced) }))
