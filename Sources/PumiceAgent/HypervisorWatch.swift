import Logging
import PumiceModel
import ServiceLifecycle

/// Passes on what happens in the hypervisor by itself: to the log, to the reporter, and to the restoration.
struct HypervisorWatch: Service {
  let hypervisor: any Hypervisor
  let restoration: Restoration
  let reporter: Reporter?
  let logger: Logger

  func run() async throws {
    let events = hypervisor.events()
    await cancelWhenGracefulShutdown {
      for await event in events {
        note(event)
        switch event {
        case .reconnected: restoration.begin()
        case .lifecycle(let instance): restoration.begin(for: instance)
        case .diskRemoved, .diskRemovalFailed, .ioError: break
        }
        reporter?.changed()
      }
      // A hypervisor that has nothing more to say is no reason to end the agent.
      while !Task.isCancelled { try? await Task.sleep(for: .seconds(3600)) }
    }
  }

  private func note(_ event: HypervisorEvent) {
    switch event {
    case .lifecycle: break
    case .diskRemoved(let attachment, let instance):
      logger.info("disk removed", metadata: ["attachment.id": "\(attachment)", "instance.id": "\(instance)"])
    case .diskRemovalFailed(let attachment, let instance):
      logger.warning(
        "guest did not let go of a disk", metadata: ["attachment.id": "\(attachment)", "instance.id": "\(instance)"])
    case .ioError(let instance, let device, let reason):
      logger.error(
        "I/O error in an instance",
        metadata: ["instance.id": "\(instance)", "disk.device": "\(device)", "error": "\(reason)"])
    case .reconnected: logger.notice("hypervisor is back")
    }
  }
}
