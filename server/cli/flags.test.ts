import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { UsageError } from '#base/errors.ts'
import { parseFlags, type FlagSources } from './flags.ts'
import { SERVER_FLAGS } from './verb-flags.ts'
import { helpOf, VERB_SPECS, type VerbName } from './verbs.ts'

const parse = (argv: string[], rest: Partial<FlagSources> = {}) => parseFlags('server', SERVER_FLAGS, { argv, env: {}, readConfig: () => ({}), ...rest }).values
const refusal = (argv: string[], rest: Partial<FlagSources> = {}): string => {
  try {
    parse(argv, rest)
  } catch (error) {
    assert.ok(error instanceof UsageError)
    assert.ok(!error.message.includes('\n'))
    return error.message
  }
  throw new assert.AssertionError({ message: `${argv.join(' ')} was accepted` })
}

describe('the server\'s command line', () => {
  it('has the documented defaults', () => {
    const v = parse([])
    assert.deepEqual([v['data-dir'], v['https-listen-port'], v['cluster-cidr'], v['service-cidr'], v['cluster-dns'], v['cluster-domain'], v['write-kubeconfig'], v['overlay'], v['disable-agent'], v['node-label']],
      ['/var/lib/skiff', 6443, '10.42.0.0/16', '10.43.0.0/16', undefined, 'cluster.local', '/etc/skiff/skiff.yaml', 'vxlan', false, []])
  })
  it('takes --flag value, --flag=value, repeated and comma-separated lists', () => {
    const v = parse(['--data-dir', '/x', '--https-listen-port=7443', '--node-label', 'a=1,b=2', '--node-label=c=3', '--disable-agent'])
    assert.deepEqual([v['data-dir'], v['https-listen-port'], v['node-label'], v['disable-agent']], ['/x', 7443, ['a=1', 'b=2', 'c=3'], true])
  })
  it('prefers the command line to the environment, that to the config file, and that to the default', () => {
    const rest = { env: { SKIFF_NODE_NAME: 'env', SKIFF_DATA_DIR: '/env' }, readConfig: () => ({ 'node-name': 'file', 'data-dir': '/file', 'cluster-domain': 'file.local', 'tls-san': ['a', 'b'] }) }
    const v = parse(['--data-dir=/argv'], rest)
    assert.deepEqual([v['data-dir'], v['node-name'], v['cluster-domain'], v['tls-san']], ['/argv', 'env', 'file.local', ['a', 'b']])
  })
  it('refuses with one line that names the flag and the mend', () => {
    assert.match(refusal(['--https-listen-prot=1']), /unknown flag --https-listen-prot .*did you mean --https-listen-port\?/)
    assert.match(refusal(['--data-dir=/var/../proc/x']), /--data-dir: \/var\/\.\.\/proc\/x is in a file system of the kernel's own, which holds no files: name a directory on a disk/)
    assert.match(refusal(['--https-listen-port=99999']), /--https-listen-port: 99999 is not a port/)
    assert.match(refusal(['--data-dir']), /--data-dir needs a value/)
    assert.match(refusal(['--cluster-cidr=10.42.0.0']), /--cluster-cidr: .* such as 10.42.0.0\/16/)
    assert.match(refusal(['--overlay=ipsec']), /--overlay: "ipsec" is none of vxlan, host-gw, none/)
    assert.match(refusal([], { readConfig: () => ({ 'data-dirr': 1 }) }), /the config file sets data-dirr.*did you mean --data-dir/)
    assert.match(refusal([], { readConfig: () => ({ 'data-dir': { a: 1 } }) }), /--data-dir: expected a single value/)
  })
  it('describes every flag in --help', () => {
    for (const [verb, { flags }] of Object.entries(VERB_SPECS)) for (const flag of flags) assert.match(helpOf(verb as VerbName), new RegExp(`--${flag.name}\\b.* ${flag.help.slice(0, 8).replace(/[()|$]/g, '.')}`))
  })
})
