import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { emptyConfiguration, initialConfiguration } from '../raft/configuration.ts'
import { decideMembers, ENDPOINT_TTL_MS, reachableAddresses, type MembersView } from './decide-members.ts'
import type { ServerEntry } from './servers.ts'

const entry = (name: string, more: Partial<ServerEntry> = {}): ServerEntry => ({ name, address: `192.0.2.${name.slice(1)}:6443`, ...more })
const three = initialConfiguration({ 1: '192.0.2.1:6443', 2: '192.0.2.2:6443', 3: '192.0.2.3:6443' })

function view(over: Partial<MembersView> = {}): MembersView {
  return {
    self: 1, configuration: three, heardMs: new Map([[2, 100], [3, 100]]),
    entries: new Map([[1, entry('s1', { nodeUid: 'u1' })], [2, entry('s2', { nodeUid: 'u2' })], [3, entry('s3', { nodeUid: 'u3' })]]),
    nodes: new Map([['s1', 'u1'], ['s2', 'u2'], ['s3', 'u3']]), ...over,
  }
}

describe('who belongs to the cluster', () => {
  it('stays as it is while all nodes are there', () => assert.deepEqual(decideMembers(view()), []))

  it('loses the member whose Node was deleted', () => {
    const actions = decideMembers(view({ nodes: new Map([['s1', 'u1'], ['s3', 'u3']]) }))
    assert.deepEqual(actions, [{ kind: 'removeMember', member: 2, name: 's2', because: 'its node s2 was deleted' }])
  })

  it('loses it also when the Node has already come again: another uid is another Node', () => {
    const actions = decideMembers(view({ nodes: new Map([['s1', 'u1'], ['s2', 'new'], ['s3', 'u3']]) }))
    assert.deepEqual(actions, [{ kind: 'removeMember', member: 2, name: 's2', because: 'its node s2 was deleted' }])
  })

  it('does not mistake a server that never had a Node, or Nodes that are not known yet, for a deletion', () => {
    assert.deepEqual(decideMembers(view({ nodes: undefined })), [])
    assert.deepEqual(decideMembers(view({ entries: new Map([[1, entry('s1', { nodeUid: 'u1' })], [2, entry('s2')], [3, entry('s3', { nodeUid: 'u3' })]]), nodes: new Map([['s1', 'u1'], ['s3', 'u3']]) })), [])
  })

  it('notes the Node of a server once it is there', () => {
    const [action] = decideMembers(view({ entries: new Map([[1, entry('s1', { nodeUid: 'u1' })], [2, entry('s2')]]), configuration: initialConfiguration({ 1: 'a:1', 2: 'b:1' }) }))
    assert.deepEqual(action, { kind: 'writeEntries', changes: new Map([[2, entry('s2', { nodeUid: 'u2' })]]) })
  })

  it('hands leadership over before the leader itself is removed, and never removes the last one', () => {
    const gone = { nodes: new Map([['s2', 'u2'], ['s3', 'u3']]) }
    assert.deepEqual(decideMembers(view(gone)), [{ kind: 'handOver', because: 'its node s1 was deleted' }])
    const alone = view({ configuration: initialConfiguration({ 1: 'a:1' }), entries: new Map([[1, entry('s1', { removing: true })]]), nodes: new Map() })
    assert.deepEqual(decideMembers(alone), [])
  })

  it('removes one at a time, none while a change is under way, and what an admin asked for', () => {
    const both = view({ entries: new Map([[1, entry('s1')], [2, entry('s2', { removing: true })], [3, entry('s3', { removing: true })]]), nodes: new Map() })
    assert.deepEqual(decideMembers(both), [{ kind: 'removeMember', member: 2, name: 's2', because: 'an admin asked for it' }])
    assert.deepEqual(decideMembers({ ...both, configuration: { ...three, outgoing: [1, 2] } }), [])
  })

  it('forgets the entries of those that are members no more', () => {
    const [action] = decideMembers(view({ configuration: initialConfiguration({ 1: 'a:1', 2: 'b:1' }) }))
    assert.deepEqual(action, { kind: 'writeEntries', changes: new Map([[3, undefined]]) })
  })
})

describe('the addresses that clients may use', () => {
  it('are those of members that were heard of lately and are not stopping; its own always', () => {
    const now = 100 + ENDPOINT_TTL_MS
    assert.deepEqual(reachableAddresses(view(), now - 1), ['192.0.2.1', '192.0.2.2', '192.0.2.3'])
    assert.deepEqual(reachableAddresses(view({ heardMs: new Map([[2, 200]]) }), now), ['192.0.2.1', '192.0.2.2'])
    assert.deepEqual(reachableAddresses(view({ entries: new Map([[1, entry('s1')], [2, entry('s2', { stopping: true })]]) }), 100), ['192.0.2.1'])
    assert.deepEqual(reachableAddresses(view({ configuration: { ...emptyConfiguration, voters: [1] } }), 100), ['192.0.2.1'])
  })

  it('know IPv6', () => assert.deepEqual(reachableAddresses(view({ entries: new Map([[1, { name: 's1', address: '[2001:db8::1]:6443' }]]) }), 0), ['2001:db8::1']))
})
