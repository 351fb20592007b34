/// Attachments of clients, who connect by themselves: what they say is taken down, and what they may reach is exported.
///
///     reserved ──▶ attaching ──▶ attached ◀──▶ detaching
///         └────────────┴────────────┴─────────────┴──▶ withdrawing ──▶ detached
///
/// The client alone knows when it has the volume and when it has it no more, so that nothing but `withdrawing` ends by itself.
extension Attachment {
  /// It wants to connect, by this initiator. Harmless when repeated.
  ///
  /// Throws `conflict` for another initiator than the one that was admitted, who may be writing, and when it is on its way out.
  public mutating func admit(_ asked: StorageClient, at now: Timestamp) throws(StorageError) {
    let known = try requireClient("connected by its client")
    try require([.reserved, .attaching, .attached].contains(state), "connected")
    guard known.initiator == nil || known.initiator == asked.initiator else {
      throw StorageError(
        .conflict,
        "Attachment \(id) is connected by \(known.initiator ?? ""), so it can't be by another initiator: let it go, and make a "
          + "new one.")
    }
    let client = StorageClient(
      host: asked.host.isEmpty ? known.host : asked.host, initiator: asked.initiator,
      mountPoint: asked.mountPoint ?? known.mountPoint)
    let state: State = state == .reserved ? .attaching : state
    guard client != known || state != self.state else { return }
    take(client, state, at: now)
  }

  /// It has the volume. Harmless when repeated.
  public mutating func complete(
    _ asked: StorageClient? = nil, instance: InstanceID? = nil, mode: Mode? = nil, at now: Timestamp
  ) throws(StorageError) {
    var client = try requireClient("completed")
    if state == .attached { return }
    try require(state == .reserved || state == .attaching, "completed")
    if let asked {
      if !asked.host.isEmpty { client.host = asked.host }
      client.mountPoint = asked.mountPoint ?? client.mountPoint
    }
    take(client, .attached, instance: instance, mode: mode, at: now)
  }

  /// It is about to let the volume go.
  public mutating func announceDetaching(at now: Timestamp) throws(StorageError) {
    let client = try requireClient("detached by its client")
    try require(state == .attached, "detached")
    take(client, .detaching, at: now)
  }

  /// It keeps the volume after all.
  public mutating func takeBackDetaching(at now: Timestamp) throws(StorageError) {
    let client = try requireClient("kept by its client")
    try require(state == .detaching, "kept")
    take(client, .attached, at: now)
  }

  private func requireClient(_ participle: String) throws(StorageError) -> StorageClient {
    guard let client else {
      throw StorageError(
        .conflict,
        "Attachment \(id) is one of instance \(instance.map { "\($0)" } ?? "") on node \(node ?? ""), so it can't be "
          + "\(participle): its node sees to it. Detach the volume from the instance instead.")
    }
    return client
  }
}
