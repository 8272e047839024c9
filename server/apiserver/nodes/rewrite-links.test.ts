import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { LinkRewriter, rewriteUrl, type ProxyPlace } from './rewrite-links.ts'

const PREFIX = '/api/v1/namespaces/n/pods/p:80/proxy'
const place: ProxyPlace = { prefix: PREFIX, behind: '10.0.0.1:80', host: 'board:6443' }

for (const [what, from, to] of [
  ['the root', '/', `${PREFIX}/`], ['a path', '/a/b?q=1#c', `${PREFIX}/a/b?q=1#c`], ['a directory', '/a/', `${PREFIX}/a/`], ['dots are worked out', '/a/../../b', '/api/v1/namespaces/n/pods/p:80/b'],
  ['relative', 'a/b', 'a/b'], ['a query', '?x', '?x'], ['a fragment', '#x', '#x'], ['nothing', '', ''], ['mail', 'mailto:a@b', 'mailto:a@b'],
  ['another host', 'http://elsewhere/a', 'http://elsewhere/a'], ['another host, of whatever scheme', '//elsewhere/a', '//elsewhere/a'], ['the host behind', 'http://10.0.0.1:80/a?b', `${PREFIX}/a?b`],
  ['the host as the client calls it', 'https://board:6443/a', `https://board:6443${PREFIX}/a`], ['what has the prefix already', `${PREFIX}/x`, `${PREFIX}/x`], ['a host alone', 'http://10.0.0.1:80', 'http://10.0.0.1:80'],
] as const) test(`a link that is ${what}`, () => assert.equal(rewriteUrl(from, place), to))

async function rewritten(...pieces: string[]): Promise<string> {
  const rewriter = new LinkRewriter(place)
  for (const piece of pieces) rewriter.write(Buffer.from(piece, 'latin1'))
  rewriter.end()
  return Buffer.concat(await rewriter.toArray() as Buffer[]).toString('latin1')
}

const PAGE = `<!DOCTYPE html><HTML manifest=/m><title><a href="/t"></title><script src='/s.js'>if (a</b/ && "<a href='/no'>") {}</SCRIPT >
<!-- <a href="/no"> --><a class="/x" HREF = "/one" title='>'>1 < 2 <</a><img src=/i.png usemap="#m"><form action="sub"><a href="http://other/">\xe9</a><p href="/no"><a href='/two"'>`
const EXPECTED = `<!DOCTYPE html><HTML manifest=${PREFIX}/m><title><a href="/t"></title><script src='${PREFIX}/s.js'>if (a</b/ && "<a href='/no'>") {}</SCRIPT >
<!-- <a href="/no"> --><a class="/x" HREF = "${PREFIX}/one" title='>'>1 < 2 <</a><img src=${PREFIX}/i.png usemap="#m"><form action="sub"><a href="http://other/">\xe9</a><p href="/no"><a href='${PREFIX}/two"'>`

test('links of elements are rewritten; scripts, titles, comments and other attributes are left alone', async () => {
  assert.equal(await rewritten(PAGE), EXPECTED)
})

test('it makes no difference where the pieces end', async () => {
  await fc.assert(fc.asyncProperty(fc.array(fc.nat(PAGE.length), { maxLength: 12 }), async (cuts) => {
    const at = [0, ...cuts.toSorted((a, b) => a - b), PAGE.length]
    assert.equal(await rewritten(...at.slice(1).map((end, i) => PAGE.slice(at[i], end))), EXPECTED)
  }))
})

test('text without links passes as it is, whatever it is', async () => {
  await fc.assert(fc.asyncProperty(fc.array(fc.string({ unit: fc.constantFrom('<', '>', '"', "'", '!', '-', '/', 'a', ' ', '=', 's') })), async (pieces) => {
    assert.equal(await rewritten(...pieces), pieces.join(''))
  }))
})

test('a tag that never ends is not held for ever', async () => {
  const rewriter = new LinkRewriter(place)
  rewriter.write(`<a ${'x'.repeat(70_000)}`)
  assert.equal((rewriter.read() as Buffer).length, 70_003)
})
