public import PumiceModel
public import PumiceWire

/// Connections. The record is written before anything is touched, and deleted after everything is gone. A first connect that
/// fails leaves it: the coordinator tries again, or removes it.
extension NodeService {
  public func ensureConnection(
    _ id: AttachmentID, _ request: ConnectionRequest
  ) async throws(StorageError) -> ConnectedDisk {
    try request.check()
    try admit(request.incarnation)
    guard let hypervisor = drivers.hypervisor, let connector = drivers.connector(for: request.target) else {
      throw StorageError(
        .unsupported,
        "Node \(identity.name) has no hypervisor, or no connector for \(request.target), so it can't connect it.")
    }
    return try await locks.withLock(.connection(id)) { () async throws(StorageError) in
      let old = connections.record(of: id)
      try gate.admit(.connection(id), request.revision, recorded: old?.request.revision)
      var record = try ConnectionRecord(id, request).following(old)
      if let image = old?.request.target.image, record.request.target.image != image {
        // A late call, which names files that are gone by now, shall not get into the record.
        _ = try await connector.connect(id, record.request)
      }
      if record != old { try await connections.put(record) }
      let (disk, source) = try await plug(record, hypervisor, connector)
      let progress = try await follow(record, from: source, hypervisor)
      if progress.isComplete, let next = record.request.target.image?.next {
        // By this the disk is restored after a reboot: by then the files of before may be gone.
        record.request.target.image?.layers = next
        record.request.target.image?.next = nil
        record.request.target.image?.isMerged = nil
        try await connections.put(record)
      }
      if progress.isComplete, old != nil || record.request.target.image != nil {
        // It may have been plugged before the volume grew.
        try await hypervisor.resize(id, of: request.instance, to: record.request.size)
      }
      var answer = ConnectedDisk(device: disk.device)
      answer.progress = progress.isComplete ? nil : progress
      return answer
    }
  }

  public func removeConnection(_ id: AttachmentID, _ request: ConnectionRemoval) async throws(StorageError) {
    try request.check()
    try await locks.withLock(.connection(id)) { () async throws(StorageError) in
      var record = connections.record(of: id)
      try gate.admit(.connection(id), request.revision, recorded: record?.request.revision)
      if record != nil {
        record?.request.revision = request.revision
        record?.isLeaving = true
        if let record, record != connections.record(of: id) { try await connections.put(record) }
      }
      // Also without a record: the disk is known by its alias.
      if let hypervisor = drivers.hypervisor {
        try await hypervisor.unplug(id, from: request.instance)
        if let instance = record?.request.instance, instance != request.instance {
          try await hypervisor.unplug(id, from: instance)
        }
      }
      for connector in drivers.connectors { try await connector.disconnect(id) }
      if record != nil { try await connections.remove(id) }
    }
  }

  /// Gives the instance the disk, once the device has shown that it is the volume. Inside the connection's lock.
  @discardableResult
  func plug(
    _ record: ConnectionRecord, _ hypervisor: any Hypervisor, _ connector: any Connector
  ) async throws(StorageError) -> (PluggedDisk, DiskSource) {
    if record.request.target.isLocal {
      // Inside the volume's lock: what is withdrawn meanwhile can't be plugged any more.
      return try await locks.withLock(.volume(record.request.volume)) { () async throws(StorageError) in
        let source = try localSource(of: record)
        return (try await plug(record, hypervisor, source: source), source)
      }
    }
    let source = try await connector.connect(record.attachment, record.request)
    return (try await plug(record, hypervisor, source: source), source)
  }

  private func plug(
    _ record: ConnectionRecord, _ hypervisor: any Hypervisor, source: DiskSource
  ) async throws(StorageError) -> PluggedDisk {
    let request = record.request
    let disk = try await hypervisor.plug(
      Disk(
        attachment: record.attachment, volume: request.volume, source: source, device: request.device,
        readOnly: request.readOnly, isShareable: request.target.shareable == true, limits: request.limits),
      into: request.instance)
    guard disk.volume == request.volume else {
      throw StorageError(
        .wrongDevice,
        "Instance \(request.instance) has a disk for attachment \(record.attachment), but its serial is "
          + "\(disk.volume.map(\.description) ?? "missing") and not \(request.volume).")
    }
    return disk
  }
}

extension ConnectionRecord {
  /// This record in place of an older one. A late repeat does not take back a size.
  fileprivate func following(_ old: ConnectionRecord?) throws(StorageError) -> ConnectionRecord {
    guard let old else { return self }
    guard old.request.volume == request.volume, old.request.instance == request.instance else {
      throw StorageError(
        .conflict,
        "Attachment \(attachment) connects volume \(old.request.volume) to instance \(old.request.instance), "
          + "so it can't connect \(request.volume) to \(request.instance).")
    }
    var copy = self
    copy.request.size = max(request.size, old.request.size)
    return copy
  }
}
