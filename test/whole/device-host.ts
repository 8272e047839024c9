/** A cluster of one host whose kubelet knows a test driver of devices (DRA) over gRPC, and what tests of claims do to it. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock } from '#base/clock.ts'
import { silentLog } from '#base/log.ts'
import { startTestDriver, type TestDriver, type TestDriverOptions } from '#agent/kubelet/dra/testing/driver.ts'
import { Cluster, until } from '../lab/cluster.ts'
import type { LabHost } from '../lab/host.ts'

const CDI_DIRECTORY = '/var/run/cdi'

export class DeviceHost {
  readonly cluster: Cluster
  readonly #drivers: TestDriver[] = []
  readonly #files: string[] = []

  private constructor(cluster: Cluster) { this.cluster = cluster }

  static async create(): Promise<DeviceHost> { return new DeviceHost(await Cluster.create({ hosts: 1 })) }

  get node(): LabHost { return this.cluster.server }

  /** A driver that has registered; `cdi`: what its devices do to containers, of the kind `vendor`. */
  async addDriver(options: Pick<TestDriverOptions, 'driver' | 'devices' | 'tellsHealth'> & { vendor: string; cdi: readonly object[] }): Promise<TestDriver> {
    const { vendor, cdi, ...rest } = options
    mkdirSync(CDI_DIRECTORY, { recursive: true })
    const file = join(CDI_DIRECTORY, `${vendor.replaceAll('/', '-')}.json`)
    this.#files.push(file)
    writeFileSync(file, JSON.stringify({ cdiVersion: '0.6.0', kind: vendor, devices: cdi }))
    const driver = await startTestDriver({ rootDir: join(this.node.dataDir, 'agent'), ...rest, clock: systemClock, log: silentLog })
    this.#drivers.push(driver)
    await until(`driver ${options.driver} is registered`, 20_000, () => Promise.resolve(driver.told.length === 1))
    return driver
  }

  apply(object: object): Promise<string> { return this.cluster.must(['create', '-f', '-'], { input: JSON.stringify(object) }) }

  get(...what: string[]): Promise<string> { return this.cluster.must(['get', ...what]) }

  ready(...pods: string[]): Promise<string> { return this.cluster.must(['wait', '--for=condition=Ready', '--timeout=60s', ...pods.map((name) => `pod/${name}`)], { timeoutMs: 70_000 }) }

  remove(...pods: string[]): Promise<string> { return this.cluster.must(['delete', 'pod', '--timeout=60s', ...pods], { timeoutMs: 70_000 }) }

  /** Of resource.k8s.io. */
  resource(kind: string, name: string, spec: object): Promise<string> { return this.apply({ apiVersion: 'resource.k8s.io/v1', kind, metadata: { name }, spec }) }

  /** What a driver of this node tells of its devices. */
  slice(name: string, driver: string, devices: readonly object[]): Promise<string> {
    return this.resource('ResourceSlice', name, { driver, nodeName: this.node.name, pool: { name: this.node.name, generation: 1, resourceSliceCount: 1 }, devices })
  }

  async untilToldWhyNot(pod: string): Promise<void> {
    await until(`${pod} is told why it waits`, 20_000, async () => (await this.get('pod', pod, '-o', 'jsonpath={.status.conditions[?(@.type=="PodScheduled")].message}')).startsWith('0/1 nodes are available: 1 cannot allocate all claims.'))
  }

  async destroy(): Promise<void> {
    for (const file of this.#files) rmSync(file, { force: true })
    for (const driver of this.#drivers) await driver.stop()
    await this.cluster.destroy()
  }
}
