/** Nonsense on the real TLS port: the right 4xx as a Status, never a 500, and a server that goes on. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { OneHost } from './one-host.ts'

interface Answer { name: string; status: number; reason: string; message: string; contentType: string; warnings: string[] }

const CLIENT = join(import.meta.dirname, 'rude-client.ts')

describe('bad requests', { timeout: 600_000 }, () => {
  let lab: OneHost
  let answers: Map<string, Answer>
  before(async () => {
    lab = await OneHost.create()
    lab.start('server', lab.serverFlags())
    await lab.waitForApi()
    const output = await lab.host.must([process.execPath, CLIENT, lab.path('data.yaml')], { timeoutMs: 90_000 })
    answers = new Map(output.trim().split('\n').map((line) => JSON.parse(line) as Answer).map((a) => [a.name, a]))
  })
  after(async () => { await lab.lab.destroy() })

  const expected: readonly [name: string, status: number, reason: string, message: RegExp][] = [
    ['malformed JSON', 400, 'BadRequest', /json|unexpected|invalid/i],
    ['an empty body', 400, 'BadRequest', /./],
    ['a body that is a list', 400, 'BadRequest', /./],
    ['a body of 4 MiB', 413, 'RequestEntityTooLarge', /too large|limit/i],
    ['10,000 levels of nesting', 400, 'BadRequest', /nest|depth/i],
    ['invalid UTF-8', 400, 'BadRequest', /UTF-8/i],
    ['an unknown field, strict', 400, 'BadRequest', /strict decoding error: unknown field "spek"/],
    ['a duplicate field, strict', 400, 'BadRequest', /strict decoding error: duplicate field "data"/],
    ['another kind', 400, 'BadRequest', /./],
    ['another namespace', 400, 'BadRequest', /namespace/],
    ['a bad label selector', 400, 'BadRequest', /unable to parse requirement|selector|found/],
    ['a bad field selector', 400, 'BadRequest', /field label not supported|selector/],
    ['a bad continue token', 400, 'BadRequest', /continue key is not valid|continue/],
    ['a bad limit', 400, 'BadRequest', /limit|parsing/],
    ['a bad resourceVersion', 400, 'BadRequest', /resourceVersion|resource version/i],
    ['a bad resourceVersion in a watch', 400, 'BadRequest', /resourceVersion|resource version/i],
    ['an unknown Content-Type', 415, 'UnsupportedMediaType', /the body of the request was in an unknown format - accepted media types include/],
    ['an Accept nobody can serve', 406, 'NotAcceptable', /only the following media types are accepted/],
    ['an unknown patch type', 415, 'UnsupportedMediaType', /415: Unsupported Media Type/],
    ['a JSON patch that is none', 400, 'BadRequest', /./],
    ['a JSON patch against what is not there', 422, 'Invalid', /./],
    ['an unknown path', 404, 'NotFound', /could not find the requested resource/],
    ['an unknown resource', 404, 'NotFound', /could not find the requested resource/],
    ['a method nobody has', 405, 'MethodNotAllowed', /./],
    ['a name that is none', 422, 'Invalid', /metadata\.name/],
    ['a wrong type', 400, 'BadRequest', /./],
    ['a bad fieldValidation', 422, 'Invalid', /fieldValidation/],
    ['a bad dryRun', 422, 'Invalid', /dryRun/],
    ['percent signs', 400, 'BadRequest', /./],
    ['dots in a path', 400, 'BadRequest', /is not valid/],
    ['no credentials', 403, 'Forbidden', /User "system:anonymous" cannot /],
    ['a wrong bearer token', 401, 'Unauthorized', /Unauthorized/],
  ]
  for (const [name, status, reason, message] of expected) {
    it(`${name}: ${status} ${reason}`, () => {
      const answer = answers.get(name)
      assert.deepStrictEqual({ status: answer?.status, reason: answer?.reason }, { status, reason }, JSON.stringify(answer))
      assert.match(answer?.message ?? '', message)
      assert.match(answer?.contentType ?? '', /^application\/json/)
    })
  }

  it('unknown fields are dropped with a warning, or silently, as asked', () => {
    assert.deepStrictEqual([answers.get('an unknown field, warn')?.status, answers.get('an unknown field, warn')?.warnings], [201, ['unknown field "spek"']])
    assert.deepStrictEqual([answers.get('an unknown field, ignore')?.status, answers.get('an unknown field, ignore')?.warnings], [201, []])
  })

  it('requests that are no HTTP are cut off', () => {
    for (const name of ['2 MiB of headers', 'garbage instead of TLS', 'garbage inside TLS', 'HTTP/2 garbage']) {
      const answer = answers.get(name)
      assert.ok(answer && (answer.status === 0 || (answer.status >= 400 && answer.status < 500)), JSON.stringify(answer))
    }
  })

  it('a client that sends a byte now and then does not keep others from being served', () => {
    assert.deepStrictEqual(answers.get('beside 200 slow clients')?.status, 200)
  })

  it('none was a 500, and the server is alive', async () => {
    assert.deepStrictEqual([...answers.values()].filter((a) => a.status >= 500), [])
    assert.equal((await lab.kubectl(['get', '--raw', '/livez'])).stdout, 'ok')
    assert.ok(!/ ERROR |bug:/.test(lab.host.log('server')), lab.host.log('server'))
    assert.equal(lab.pids(/ server /).length, 1)
  })
})
