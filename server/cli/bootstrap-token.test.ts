import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Secret, Stored } from '#api/types/index.ts'
import { parseBootstrapToken } from '#api/token/token.ts'
import { seededRandom } from '#base/random.ts'
import { bootstrapTokenSecret, describeToken, tokenTable } from './bootstrap-token.ts'
import { durationSeconds } from './flag-checks.ts'

const NOW = Date.parse('2026-11-21T00:00:00Z')
const make = (ttlSeconds: number, description?: string) => bootstrapTokenSecret({ random: seededRandom(7), nowMs: NOW, ttlSeconds, description })

describe('bootstrap tokens', () => {
  it('are upstream\'s Secrets, for nodes only', () => {
    const { secret, token } = make(3_600, 'for the shed')
    const { id, secret: value } = parseBootstrapToken(token) ?? { id: '', secret: '' }
    const data = Object.fromEntries(Object.entries(secret.data ?? {}).map(([k, v]) => [k, Buffer.from(v, 'base64').toString()]))
    assert.equal(secret.metadata?.name, `bootstrap-token-${id}`)
    assert.deepStrictEqual(data, {
      'token-id': id, 'token-secret': value, 'usage-bootstrap-authentication': 'true', 'usage-bootstrap-signing': 'true',
      'auth-extra-groups': 'system:bootstrappers:skiff:node', expiration: '2026-11-21T01:00:00Z', description: 'for the shed',
    })
  })

  it('are listed without their secret, and without what would move a cursor', () => {
    const rows = [make(0), make(7_200, 'a\x1b[2Jb\nc'), make(172_800, 'x')].map(({ secret }) => describeToken(secret as Stored<Secret>))
    const id = rows[0]?.id ?? ''
    assert.equal(tokenTable(rows, NOW + 1_000), [
      'ID       TTL         EXPIRES                USAGES                   DESCRIPTION',
      `${id}   <forever>   <never>                authentication,signing   <none>`,
      `${id}   1h          2026-11-21T02:00:00Z   authentication,signing   a [2Jb c`,
      `${id}   47h         2026-11-23T00:00:00Z   authentication,signing   x`, '',
    ].join('\n'))
  })

  it('last as long as is said', () => {
    assert.deepStrictEqual(['0', '90s', '30m', '24h', '7d', '1h30m', '', '1', '-1h', '1y', 'h'].map(durationSeconds), [0, 90, 1_800, 86_400, 604_800, 5_400, undefined, undefined, undefined, undefined, undefined])
  })
})
