/** The calls of RuntimeService and ImageService: name, what is asked, what is answered. Client and server are both made of this table. */
import type { Call } from '#base/grpc/call.ts'
import type { Message } from '#base/protobuf/message.ts'
import * as m from './messages.ts'

const runtime = <A, B, C, D>(name: string, request: Message<A, B>, response: Message<C, D>): Call<A, C, B, D> => ({ path: `/runtime.v1.RuntimeService/${name}`, request, response })
const image = <A, B, C, D>(name: string, request: Message<A, B>, response: Message<C, D>): Call<A, C, B, D> => ({ path: `/runtime.v1.ImageService/${name}`, request, response })
const own = <A, B, C, D>(name: string, request: Message<A, B>, response: Message<C, D>): Call<A, C, B, D> => ({ path: `/skiff.v1.ImageService/${name}`, request, response })

export const CALLS = {
  version: runtime('Version', m.Version.request, m.Version.response),
  runPodSandbox: runtime('RunPodSandbox', m.RunPodSandbox.request, m.RunPodSandbox.response),
  stopPodSandbox: runtime('StopPodSandbox', m.BySandboxId, m.Empty),
  removePodSandbox: runtime('RemovePodSandbox', m.BySandboxId, m.Empty),
  podSandboxStatus: runtime('PodSandboxStatus', m.PodSandboxStatusCall.request, m.PodSandboxStatusCall.response),
  listPodSandbox: runtime('ListPodSandbox', m.ListPodSandbox.request, m.ListPodSandbox.response),
  createContainer: runtime('CreateContainer', m.CreateContainer.request, m.CreateContainer.response),
  startContainer: runtime('StartContainer', m.ByContainerId, m.Empty),
  stopContainer: runtime('StopContainer', m.StopContainer, m.Empty),
  removeContainer: runtime('RemoveContainer', m.ByContainerId, m.Empty),
  listContainers: runtime('ListContainers', m.ListContainers.request, m.ListContainers.response),
  containerStatus: runtime('ContainerStatus', m.ContainerStatusCall.request, m.ContainerStatusCall.response),
  updateContainerResources: runtime('UpdateContainerResources', m.UpdateContainerResources, m.Empty),
  updatePodSandboxResources: runtime('UpdatePodSandboxResources', m.UpdatePodSandboxResources, m.Empty),
  reopenContainerLog: runtime('ReopenContainerLog', m.ByContainerId, m.Empty),
  execSync: runtime('ExecSync', m.ExecSync.request, m.ExecSync.response),
  exec: runtime('Exec', m.Exec, m.StreamUrl),
  attach: runtime('Attach', m.Attach, m.StreamUrl),
  portForward: runtime('PortForward', m.PortForward, m.StreamUrl),
  containerStats: runtime('ContainerStats', m.ByContainerId, m.ContainerStatsResponse),
  listContainerStats: runtime('ListContainerStats', m.ListContainerStats.request, m.ListContainerStats.response),
  podSandboxStats: runtime('PodSandboxStats', m.BySandboxId, m.PodSandboxStatsResponse),
  listPodSandboxStats: runtime('ListPodSandboxStats', m.ListPodSandboxStats.request, m.ListPodSandboxStats.response),
  updateRuntimeConfig: runtime('UpdateRuntimeConfig', m.Empty, m.Empty),
  status: runtime('Status', m.Status.request, m.Status.response),
  checkpointContainer: runtime('CheckpointContainer', m.ByContainerId, m.Empty),
  getContainerEvents: runtime('GetContainerEvents', m.Empty, m.ContainerEvent),
  listMetricDescriptors: runtime('ListMetricDescriptors', m.Empty, m.ListMetricDescriptors),
  listPodSandboxMetrics: runtime('ListPodSandboxMetrics', m.Empty, m.ListPodSandboxMetrics),
  runtimeConfig: runtime('RuntimeConfig', m.Empty, m.RuntimeConfig),
  listImages: image('ListImages', m.ListImages.request, m.ListImages.response),
  imageStatus: image('ImageStatus', m.ImageStatus.request, m.ImageStatus.response),
  pullImage: image('PullImage', m.PullImage.request, m.PullImage.response),
  removeImage: image('RemoveImage', m.RemoveImage, m.Empty),
  imageFsInfo: image('ImageFsInfo', m.Empty, m.ImageFsInfo),
} as const

/** What CRI has no call for; only skiff's own socket answers these. */
export const OWN_CALLS = {
  importImages: own('ImportImages', m.ImportImages.request, m.ImportImages.response),
  holdImages: own('HoldImages', m.HoldImages.request, m.HoldImages.response),
} as const
