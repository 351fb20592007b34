public import PumiceModel
public import PumiceWire

extension NodeService {
  public func freezeInstance(_ id: InstanceID, _ request: FreezeRequest) async throws(StorageError) -> FreezeAnswer {
    try request.check()
    try admit(request.incarnation)
    guard let quiescence else {
      return FreezeAnswer(frozen: false, reason: "Node \(identity.name) can't ask guests to hold still.")
    }
    let refusal = try await quiescence.freeze(id, for: .seconds(request.seconds), by: request.holder)
    return FreezeAnswer(frozen: refusal == nil, reason: refusal)
  }

  public func thawInstance(_ id: InstanceID, _ request: ThawRequest) async throws(StorageError) -> ThawAnswer {
    ThawAnswer(stillFrozen: try await quiescence?.thaw(id, by: request.holder) ?? false)
  }
}
