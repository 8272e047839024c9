/** The Python client, as Debian ships it, against a lab cluster. SKIFF_PYTHON_CLIENT: where its modules are; scripts/clients-test.sh unpacks them. */
import { strictEqual } from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { Cluster } from '../lab/cluster.ts'
import { openShop, runningPods } from '../whole/shop.ts'

const MODULES = process.env['SKIFF_PYTHON_CLIENT'] ?? ''

describe('the Python client', { skip: MODULES === '' ? 'needs SKIFF_PYTHON_CLIENT: run scripts/clients-test.sh' : false }, () => {
  let cluster: Cluster

  before(async () => {
    cluster = await Cluster.create({ hosts: 1 })
    await openShop(cluster, { namespace: 'shop' })
  })
  after(() => cluster?.destroy())

  test('finds everything it expects', async () => {
    const [pod = ''] = await runningPods(cluster, 'shop')
    // Debian's Python, for which its packages are compiled.
    const { stdout, stderr } = await cluster.server.run(['env', `PYTHONPATH=${MODULES}`, 'PYTHONDONTWRITEBYTECODE=1', '/usr/bin/python3', join(import.meta.dirname, 'python.py'), cluster.server.kubeconfig, 'shop', pod], { timeoutMs: 120_000 })
    strictEqual(stdout, 'ok typed\nok watched\nok custom\nok from_yaml\nok executed\n', `${stdout}${stderr}`)
  })
})
