import CLibvirt
import PumiceModel

/// Where libvirt's callbacks arrive. They run on the event loop's thread and only pass on what they were told.
final class LibvirtEvents: Sendable {
  let hub = HypervisorEventHub()
  let removals = RemovalWatch()
  let mergeFailures = MergeFailures()
  /// One element after a connection broke, however often it did.
  let breaks: AsyncStream<Void>
  private let broken: AsyncStream<Void>.Continuation

  init() {
    (breaks, broken) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
  }

  deinit { broken.finish() }

  /// libvirt's numbers for what it was asked to tell. A negative one is a failure.
  struct Registrations: Sendable {
    let domain: [Int32]
    let monitor: Int32

    var areComplete: Bool { monitor >= 0 && domain.allSatisfy { $0 >= 0 } }
  }

  /// Asks for the events of a connection.
  func register(with connection: virConnectPtr) -> Registrations {
    let lifecycle: virConnectDomainEventCallback = lifecycleChanged
    let removed: virConnectDomainEventDeviceRemovedCallback = deviceRemoved
    let removalFailed: virConnectDomainEventDeviceRemovalFailedCallback = deviceRemovalFailed
    let ioError: virConnectDomainEventIOErrorReasonCallback = inputOutputFailed
    // libvirt takes callbacks of many kinds through one parameter, told apart by the event's number: C's cast.
    let kinds: [(virDomainEventID, virConnectDomainEventGenericCallback)] = [
      (VIR_DOMAIN_EVENT_ID_LIFECYCLE, unsafeBitCast(lifecycle, to: virConnectDomainEventGenericCallback.self)),
      (VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, unsafeBitCast(removed, to: virConnectDomainEventGenericCallback.self)),
      (
        VIR_DOMAIN_EVENT_ID_DEVICE_REMOVAL_FAILED,
        unsafeBitCast(removalFailed, to: virConnectDomainEventGenericCallback.self)
      ),
      (VIR_DOMAIN_EVENT_ID_IO_ERROR_REASON, unsafeBitCast(ioError, to: virConnectDomainEventGenericCallback.self)),
    ]
    let registrations = kinds.map { id, callback in
      let box = Unmanaged.passRetained(self).toOpaque()
      let registration = virConnectDomainEventRegisterAny(connection, nil, Int32(id.rawValue), callback, box, forget)
      if registration < 0 { forget(box) }
      return registration
    }
    let box = Unmanaged.passRetained(self).toOpaque()
    if virConnectRegisterCloseCallback(connection, connectionClosed, box, forget) < 0 { forget(box) }
    let monitorBox = Unmanaged.passRetained(self).toOpaque()
    let monitor = virConnectDomainQemuMonitorEventRegister(
      connection, nil, "BLOCK_JOB_COMPLETED", blockJobCompleted, monitorBox, forget, 0)
    if monitor < 0 { forget(monitorBox) }
    return Registrations(domain: registrations, monitor: monitor)
  }

  /// Undoes `register`, after which libvirt holds this object no more. Blocks.
  static func unregister(_ registrations: Registrations, from connection: virConnectPtr) {
    if registrations.monitor >= 0 {
      virConnectDomainQemuMonitorEventDeregister(connection, registrations.monitor)
    }
    for registration in registrations.domain where registration >= 0 {
      virConnectDomainEventDeregisterAny(connection, registration)
    }
    virConnectUnregisterCloseCallback(connection, connectionClosed)
  }

  fileprivate func noteBreak() { broken.yield() }

  fileprivate static func from(_ box: UnsafeMutableRawPointer?) -> LibvirtEvents? {
    box.map { Unmanaged<LibvirtEvents>.fromOpaque($0).takeUnretainedValue() }
  }
}

// File-scope functions, since libvirt calls them on its thread.

private func lifecycleChanged(
  _: virConnectPtr?, _ domain: virDomainPtr?, _ event: Int32, _ detail: Int32, _ box: UnsafeMutableRawPointer?
) -> Int32 {
  if let id = InstanceID(of: domain) { LibvirtEvents.from(box)?.hub.send(.lifecycle(id)) }
  return 0
}

private func deviceRemoved(
  _: virConnectPtr?, _ domain: virDomainPtr?, _ alias: UnsafePointer<CChar>?, _ box: UnsafeMutableRawPointer?
) {
  guard let (instance, attachment) = disk(domain, alias), let events = LibvirtEvents.from(box) else { return }
  events.removals.note(.removed, attachment)
  events.hub.send(.diskRemoved(attachment, instance))
}

private func deviceRemovalFailed(
  _: virConnectPtr?, _ domain: virDomainPtr?, _ alias: UnsafePointer<CChar>?, _ box: UnsafeMutableRawPointer?
) {
  guard let (instance, attachment) = disk(domain, alias), let events = LibvirtEvents.from(box) else { return }
  events.removals.note(.refused, attachment)
  events.hub.send(.diskRemovalFailed(attachment, instance))
}

private func inputOutputFailed(
  _: virConnectPtr?, _ domain: virDomainPtr?, _ path: UnsafePointer<CChar>?, _ alias: UnsafePointer<CChar>?,
  _ action: Int32, _ reason: UnsafePointer<CChar>?, _ box: UnsafeMutableRawPointer?
) {
  guard let instance = InstanceID(of: domain) else { return }
  let (device, reason) = (alias.map { String(cString: $0) } ?? "", reason.map { String(cString: $0) } ?? "")
  LibvirtEvents.from(box)?.hub.send(.ioError(instance, device: device, reason: reason))
}

private func blockJobCompleted(
  _: virConnectPtr?, _ domain: virDomainPtr?, _: UnsafePointer<CChar>?, _: Int64, _: UInt32,
  _ details: UnsafePointer<CChar>?, _ box: UnsafeMutableRawPointer?
) {
  guard let instance = InstanceID(of: domain), let details else { return }
  LibvirtEvents.from(box)?.mergeFailures.note(String(cString: details), of: instance)
}

private func connectionClosed(_: virConnectPtr?, _ reason: Int32, _ box: UnsafeMutableRawPointer?) {
  LibvirtEvents.from(box)?.noteBreak()
}

private func forget(_ box: UnsafeMutableRawPointer?) {
  if let box { Unmanaged<LibvirtEvents>.fromOpaque(box).release() }
}

private func disk(_ domain: virDomainPtr?, _ alias: UnsafePointer<CChar>?) -> (InstanceID, AttachmentID)? {
  guard let instance = InstanceID(of: domain), let alias,
    let attachment = DiskXML.attachment(ofAlias: String(cString: alias))
  else { return nil }
  return (instance, attachment)
}
