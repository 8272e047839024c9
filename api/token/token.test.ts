import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { UsageError } from '#base/errors.ts'
import { bearerOf, formatToken, parseBootstrapToken, parseToken, type TokenUser } from './token.ts'

const HASH = 'ab'.repeat(32)

test('a token is read back as it was written, also with white space around it', () => {
  fc.assert(fc.property(fc.constantFrom<TokenUser>('server', 'node'), fc.stringMatching(/^[a-z0-9:.]{1,40}$/), (user, secret) => {
    assert.deepStrictEqual(parseToken(` ${formatToken({ caHash: HASH, user, secret })}\n`), { caHash: HASH, user, secret })
  }))
})

test('a bare secret and a user with secret are accepted without a hash', () => {
  assert.deepStrictEqual(parseToken('s3cret'), { caHash: undefined, user: undefined, secret: 's3cret' })
  assert.deepStrictEqual(parseToken('node:s3cret'), { caHash: undefined, user: 'node', secret: 's3cret' })
  assert.deepStrictEqual(parseToken(`S10${HASH.toUpperCase()}::abcdef.0123456789abcdef`), { caHash: HASH, user: undefined, secret: 'abcdef.0123456789abcdef' })
  assert.deepStrictEqual(parseBootstrapToken('abcdef.0123456789abcdef'), { id: 'abcdef', secret: '0123456789abcdef' })
  assert.equal(parseBootstrapToken('abcdef.0123456789abcde'), undefined)
})

test('what goes over the wire never has the hash in it', () => {
  assert.equal(bearerOf(parseToken(formatToken({ caHash: HASH, user: 'node', secret: 'x' }))), 'node:x')
  assert.equal(bearerOf(parseToken('x')), 'x')
})

test('wrong tokens are refused in one sentence that does not repeat the secret', () => {
  const cases: [string, RegExp][] = [
    ['', /^the token is empty: pass --token/],
    ['x'.repeat(2000), /longer than 1024/],
    ['a b', /a space or a character outside ASCII/],
    [`K10${HASH}::server:topsecret`, /of a k3s cluster/],
    [`S10${HASH}:server:topsecret`, /cut off, copy it again/],
    [`S10${HASH.slice(2)}::server:topsecret`, /S10<64 hex digits>/],
    [`S10${HASH}::admin:topsecret`, /for the user "admin"/],
    [`S10${HASH}::server:`, /has no secret/],
  ]
  for (const [text, message] of cases) {
    assert.throws(() => parseToken(text), (error: unknown) => error instanceof UsageError && message.test(error.message) && !error.message.includes('topsecret') && !error.message.includes('\n'), text.slice(0, 20))
  }
})
