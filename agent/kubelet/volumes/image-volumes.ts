/** Image volumes (KEP-4639): the agent sees to it that the image is here, the runtime mounts it for each container that wants it. */
import type { Container, Pod, Secret, Stored, Volume } from '#api/types/index.ts'
import { CodedError } from '#base/errors.ts'
import type { Mount } from '#cri/index.ts'
import type { ContainerEvent, ImagePuller } from '../image-puller.ts'
import { StartError } from '../start-error.ts'

export interface ImageVolumesRequest {
  pod: Stored<Pod>
  container: Container
  images: ImagePuller
  secrets: () => Promise<readonly Secret[]>
  /** About the pod: an image may be several containers'. */
  event: ContainerEvent
}

/**
 * The ids of the images of those volumes that the container mounts, by the volumes' names. Throws a StartError that names the image: what
 * goes wrong with one is the container's waiting reason, as its own image would be.
 */
export async function volumeImages({ pod, container, images, secrets, event }: ImageVolumesRequest, signal: AbortSignal): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  for (const { name, image } of pod.spec?.volumes ?? []) {
    if (!image || !container.volumeMounts?.some((m) => m.name === name)) continue
    const reference = image.reference ?? ''
    try {
      found.set(name, (await images.ensure({ pod, image: reference, policy: image.pullPolicy, secrets: await secrets(), event }, signal)).id)
    } catch (error) {
      if (signal.aborted || !(error instanceof StartError)) throw error
      throw new StartError(error.reason, error.message, { cause: error, image: reference })
    }
  }
  return found
}

/** `images`: what `volumeImages` found. */
export function imageMount(volume: Volume, containerPath: string, subPath: string, images: ReadonlyMap<string, string>): Mount {
  const image = images.get(volume.name)
  if (image === undefined) throw new CodedError('VOLUME_IMAGE', `bug: the image of volume "${volume.name}" was not looked for`)
  return { containerPath, hostPath: '', readonly: true, propagation: 'private', image, ...(subPath !== '' && { imageSubPath: subPath }) }
}
