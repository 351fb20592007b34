import PumiceModel
import Testing

struct AttachmentTests {
  private let later = Timestamp.start + .seconds(5)

  @Test func aLifeFromAttachingToDetached() throws {
    var attachment = Attachment.make()
    #expect(attachment.state == .attaching)
    #expect(attachment.pendingWork == .connect)

    try attachment.confirm(device: "vdb", at: later)
    #expect(attachment.state == .attached)
    #expect(attachment.device == "vdb")
    #expect(attachment.attachedAt == later)
    #expect(attachment.pendingWork == nil)

    try attachment.beginDetaching(at: later)
    #expect(attachment.pendingWork == .disconnect)
    #expect(attachment.holdsVolume)

    try attachment.confirmDisconnected(at: later)
    #expect(attachment.pendingWork == .withdraw)
    #expect(attachment.holdsVolume, "until the target refuses the initiator")

    try attachment.confirmWithdrawn(at: later)
    #expect(attachment.state == .detached)
    #expect(attachment.pendingWork == nil)
    #expect(!attachment.holdsVolume)
    #expect(attachment.revision == 5)
  }

  @Test func anAttachThatFailsIsTakenBackWithItsReason() throws {
    var attachment = Attachment.make()
    try attachment.beginDetaching(because: "The serial differs.", at: later)
    #expect(attachment.state == .detaching)
    #expect(attachment.failure == "The serial differs.")
  }

  @Test func detachingTwiceIsHarmless() throws {
    var attachment = Attachment.make()
    try attachment.beginDetaching(because: "why", at: .start)
    let once = attachment
    try attachment.beginDetaching(at: later)
    #expect(attachment == once)

    try attachment.confirmDisconnected(at: later)
    let withdrawing = attachment
    try attachment.beginDetaching(at: later)
    #expect(attachment == withdrawing)
  }

  @Test func aMissingDiskIsEnsuredOnceMore() throws {
    var attachment = try Self.attachment(in: .attached)
    attachment.repair(at: later)
    #expect(attachment.pendingWork == .connect)
    let revision = attachment.revision
    attachment.repair(at: later)
    #expect(attachment.revision == revision, "a second finding adds nothing")

    try attachment.confirm(device: nil, at: later)
    #expect(attachment.pendingWork == nil)
    #expect(attachment.device == "vdb", "what was known stays")
    #expect(attachment.attachedAt == .start)
  }

  @Test func onlyAnAttachedOneIsRepaired() throws {
    for state in Self.states where state != .attached {
      var attachment = try Self.attachment(in: state)
      let before = attachment
      attachment.repair(at: later)
      #expect(attachment == before)
    }
  }

  @Test func onlyADetachedOneIsDetachedAgain() throws {
    var detached = try Self.attachment(in: .detached)
    detached.detachAgain(at: later)
    #expect(detached.pendingWork == .disconnect)
    for state in Self.states where state != .detached {
      var attachment = try Self.attachment(in: state)
      let before = attachment
      attachment.detachAgain(at: later)
      #expect(attachment == before)
    }
  }

  /// Those of an instance; the others are clients'.
  private static let states = Attachment.State.allCases.filter { $0 != .reserved }

  private static let allowed: [Attachment.State: Set<String>] = [
    .attaching: ["confirm", "beginDetaching"],
    .attached: ["confirm", "beginDetaching"],
    .detaching: ["beginDetaching", "confirmDisconnected"],
    .withdrawing: ["beginDetaching", "confirmWithdrawn"],
    .detached: [],
  ]

  private static let transitions: [String: @Sendable (inout Attachment) throws -> Void] = [
    "confirm": { try $0.confirm(device: "vdb", at: .start) },
    "beginDetaching": { try $0.beginDetaching(at: .start) },
    "confirmDisconnected": { try $0.confirmDisconnected(at: .start) },
    "confirmWithdrawn": { try $0.confirmWithdrawn(at: .start) },
  ]

  @Test(arguments: Self.states)
  func onlyDrawnArrowsCanBeTaken(_ state: Attachment.State) throws {
    let allowed = try #require(Self.allowed[state])
    for (name, transition) in Self.transitions {
      var attachment = try Self.attachment(in: state)
      let before = attachment
      if allowed.contains(name) {
        #expect(throws: Never.self, "\(name) from \(state)") { try transition(&attachment) }
      } else {
        let error = #expect(throws: StorageError.self, "\(name) from \(state)") { try transition(&attachment) }
        #expect(error?.code == (name == "beginDetaching" ? .notFound : .conflict), "\(name) from \(state)")
        #expect(attachment == before, "\(name) from \(state)")
      }
    }
  }

  @Test(arguments: Self.states)
  func pendingWorkIsThereExactlyInPassingStates(_ state: Attachment.State) throws {
    let isResting = state == .attached || state == .detached
    #expect((try Self.attachment(in: state).pendingWork == nil) == isResting)
  }

  private static func attachment(in state: Attachment.State) throws -> Attachment {
    var attachment = Attachment.make()
    if state == .attaching { return attachment }
    try attachment.confirm(device: "vdb", at: .start)
    if state == .attached { return attachment }
    try attachment.beginDetaching(at: .start)
    if state == .detaching { return attachment }
    try attachment.confirmDisconnected(at: .start)
    if state == .withdrawing { return attachment }
    try attachment.confirmWithdrawn(at: .start)
    return attachment
  }
}
