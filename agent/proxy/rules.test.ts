import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { load } from 'js-yaml'
import type { EndpointSlice, Service } from '#api/types/index.ts'
import { setShape } from '#cni/index.ts'
import { serviceRules, type Fragment } from './rules.ts'

/** `RECORD=1 node --test …` writes the outputs afresh; they are then read in review. */
const isRecording = process.env['RECORD'] === '1'
const FOLDER = join(import.meta.dirname, 'testdata')
const context = { nodeName: 'here', clusterCidr: '10.42.0.0/16', zone: 'a' }

function show(fragment: Fragment | undefined): string {
  if (!fragment) return 'nothing\n'
  const lines: string[] = []
  for (const [set, elements] of [...fragment.elements].sort(([a], [b]) => a.localeCompare(b))) for (const [key, value] of elements) lines.push(`${set}: ${key}${value && ` -> ${value}`}`)
  for (const [name, set] of fragment.sets) lines.push(`set ${name} (${setShape(set)})`)
  for (const [name, rules] of fragment.chains) lines.push('', `chain ${name}`, ...rules.map((rule) => `  ${rule}`))
  if (fragment.udp.fronts.length > 0) lines.push('', `udp ${fragment.udp.fronts.join(', ')} -> ${fragment.udp.backends.join(', ')}`)
  return `${lines.join('\n')}\n`
}

for (const file of readdirSync(FOLDER).filter((f) => f.endsWith('.input.yaml'))) {
  const name = file.replace('.input.yaml', '')
  test(`rules of ${name.replaceAll('-', ' ')} are those recorded`, () => {
    const input = load(readFileSync(join(FOLDER, file), 'utf8')) as { service?: Service; services?: Service[]; slices: EndpointSlice[] }
    const output = (input.services ?? [input.service ?? {}]).map((service) => show(serviceRules(service, input.slices, context))).join('')
    const path = join(FOLDER, `${name}.output.txt`)
    if (isRecording) writeFileSync(path, output)
    assert.equal(output, readFileSync(path, 'utf8'))
  })
}
