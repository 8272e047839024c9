/** Holds the import rules and the habits of the design as an ordinary test: it reads every import line of the tree. */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'
import { describe, it } from 'node:test'

const root = join(import.meta.dirname, '..')
const FOLDERS = ['base', 'api', 'server', 'agent', 'cri', 'cni']
const files = globSync(FOLDERS.map((f) => `${f}/**/*.ts`), { cwd: root }).map((f) => f.replaceAll('\\', '/')).sort()
const isTest = (file: string) => /\.(test|contract|test-support)\.ts$/.test(file) || file.includes('/testdata/') || file.includes('/testing/')
const product = files.filter((f) => !isTest(f) && !f.includes('/generated/'))
const source = new Map(product.map((f) => [f, readFileSync(join(root, f), 'utf8')]))

/** Repository paths that a file imports; packages and built-ins left out. */
function importsOf(file: string): string[] {
  const found: string[] = []
  for (const m of (source.get(file) ?? '').matchAll(/(?:^|[\s;])(?:import|export)\s[^'"`;]*?from\s+['"]([^'"]+)['"]|import\(\s*['"]([^'"]+)['"]\s*\)|^import\s+['"]([^'"]+)['"]/gm)) {
    const spec = m[1] ?? m[2] ?? m[3] ?? ''
    if (spec.startsWith('#')) found.push(spec.slice(1))
    else if (spec.startsWith('.')) found.push(normalize(join(dirname(file), spec)))
  }
  return found
}

/** First matching line decides; `may` are prefixes of what may be imported besides the own unit. */
const RULES: readonly { of: RegExp; may: RegExp }[] = [
  { of: /^(server|agent)\/main\.ts$|^server\/cli\//, may: /./ },
  { of: /^base\//, may: /^base\// },
  { of: /^api\/types\//, may: /^(base|api\/types)\// },
  { of: /^api\/schema\//, may: /^(base|api\/types|api\/schema)\// },
  { of: /^api\//, may: /^(base|api)\// },
  { of: /^server\/raft\//, may: /^(base|server\/raft)\// },
  { of: /^server\/store\//, may: /^(base|server\/raft|server\/store)\// },
  { of: /^server\/apiserver\//, may: /^(base|api|server\/store|server\/apiserver)\// },
  { of: /^server\/scheduler\//, may: /^(base|api|server\/scheduler)\// },
  { of: /^server\/controllers\//, may: /^(base|api|server\/controllers)\// },
  { of: /^server\//, may: /^(base|api|server)\// },
  { of: /^agent\//, may: /^(base|api|agent)\/|^(cri|cni)\/index\.ts$/ },
  { of: /^cri\//, may: /^(base|cri)\// },
  { of: /^cni\//, may: /^(base|cni)\// },
]

describe('the tree', () => {
  it('keeps to the import rules', () => {
    const broken: string[] = []
    for (const file of product) {
      const rule = RULES.find((r) => r.of.test(file))
      for (const target of importsOf(file)) {
        if (!rule?.may.test(target)) broken.push(`${file} imports ${target}`)
        if (/(^|\/)main\.ts$/.test(target)) broken.push(`${file} imports ${target}: nothing imports a main.ts`)
        if (isTest(target)) broken.push(`${file} imports the test file ${target}`)
      }
    }
    assert.deepEqual(broken, [])
  })

  it('lets no controller import another one', () => {
    const own = (f: string) => /^server\/controllers\/([^/]+)\//.exec(f)?.[1]
    const broken = product.flatMap((f) => importsOf(f).filter((t) => own(f) && own(t) && own(t) !== own(f)).map((t) => `${f} imports ${t}`))
    assert.deepEqual(broken, [])
  })

  it('has no import cycles', () => {
    const state = new Map<string, 'open' | 'done'>()
    const cycles: string[] = []
    const visit = (file: string, path: string[]) => {
      if (state.get(file) === 'done' || !source.has(file)) return
      if (state.get(file) === 'open') {
        cycles.push([...path.slice(path.indexOf(file)), file].join(' -> '))
        return
      }
      state.set(file, 'open')
      for (const target of importsOf(file)) visit(target, [...path, file])
      state.set(file, 'done')
    }
    for (const file of product) visit(file, [])
    assert.deepEqual(cycles, [])
  })

  it('reads clocks, timers, randomness and the environment only in adapters', () => {
    const ADAPTERS = /^base\/(clock|random)\.ts$|^(server|agent)\/main\.ts$|^server\/cli\//
    const broken: string[] = []
    for (const file of product) {
      if (ADAPTERS.test(file)) continue
      const code = (source.get(file) ?? '').replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '').replace(/\s\/\/ .*$/gm, '')
      for (const m of code.matchAll(/\bDate\.now\(|\bnew Date\(\)|(?<!\.)\bsetTimeout\(|\bsetInterval\(|\bMath\.random\(|\brandomUUID\(|\bprocess\.env\b|\bperformance\.now\(/g)) broken.push(`${file}: ${m[0]}`)
    }
    assert.deepEqual(broken, [])
  })

  it('has no catch-all folders, no any, no suppressed errors, no module-level let', () => {
    const broken: string[] = []
    for (const file of product) {
      const text = source.get(file) ?? ''
      if (/(^|\/)(util|utils|common|helpers|lib)\//.test(file)) broken.push(`${file}: folder name`)
      if (/@ts-(ignore|nocheck)/.test(text)) broken.push(`${file}: suppressed type error`)
      const code = text.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '').replace(/'[^'\n]*'|`[^`]*`/g, "''")
      if (/\bas any\b|:\s*any\s*(?=[,;)=\]|}&>\n])/.test(code)) broken.push(`${file}: any`)
      if (/^(export )?let /m.test(text)) broken.push(`${file}: module-level let`)
      if (/^(export )?enum /m.test(text)) broken.push(`${file}: enum`)
    }
    assert.deepEqual(broken, [])
  })

  it('names files in kebab-case', () => {
    assert.deepEqual(files.filter((f) => !/^[a-z0-9-]+(\/[a-z0-9.-]+)*\.ts$/.test(f)), [])
  })

  it('starts every product file by saying what it is for', () => {
    assert.deepEqual(product.filter((f) => !/^(#!.*\n)?(\/\*\*|\/\/)/.test(source.get(f) ?? '')).map((f) => relative('', f)), [])
  })
})
