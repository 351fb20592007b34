import PumiceModel
import Testing

@Suite struct AttachmentClientTests {
  private let later = Timestamp.start + .seconds(1)
  private let host = StorageClient(host: "h", initiator: "iqn.2026-11.test:h")

  private func reserved(isReserved: Bool = true) -> Attachment {
    Attachment(
      id: .random(), volume: .random(), project: "p", client: StorageClient(), isReserved: isReserved,
      createdAt: .start)
  }

  @Test func nothingIsDoneByItselfUntilItGoes() throws {
    var attachment = reserved()
    #expect(attachment.state == .reserved && attachment.pendingWork == nil && !attachment.hasExport)
    try attachment.admit(host, at: later)
    #expect(attachment.state == .attaching && attachment.pendingWork == nil && attachment.hasExport)
    try attachment.complete(at: later)
    #expect(attachment.state == .attached && attachment.pendingWork == nil && attachment.attachedAt == later)
    try attachment.announceDetaching(at: later)
    #expect(attachment.state == .detaching && attachment.pendingWork == nil && attachment.holdsVolume)
    try attachment.takeBackDetaching(at: later)
    #expect(attachment.state == .attached)
    try attachment.beginDetaching(at: later)
    #expect(attachment.state == .withdrawing && attachment.pendingWork == .withdraw)
    try attachment.confirmWithdrawn(at: later)
    #expect(!attachment.holdsVolume && !attachment.hasExport)
  }

  @Test func everyStateHasAWayOut() throws {
    for attachment in [reserved(), reserved(isReserved: false)] {
      var (left, admitted) = (attachment, attachment)
      try left.beginDetaching(at: later)
      #expect(left.pendingWork == .withdraw)
      try admitted.admit(host, at: later)
      var detaching = admitted
      try detaching.complete(at: later)
      try detaching.announceDetaching(at: later)
      for var attachment in [admitted, detaching] {
        try attachment.beginDetaching(at: later)
        #expect(attachment.pendingWork == .withdraw)
      }
    }
  }

  @Test func repeatsChangeNothing() throws {
    var attachment = reserved()
    try attachment.admit(host, at: later)
    let admitted = attachment
    try attachment.admit(host, at: later + .seconds(1))
    #expect(attachment == admitted)
    try attachment.complete(at: later)
    let complete = attachment
    try attachment.complete(at: later + .seconds(1))
    try attachment.admit(host, at: later + .seconds(1))
    #expect(attachment == complete)
  }

  @Test func whatIsAttachedStaysWithItsInitiator() throws {
    var attachment = reserved()
    try attachment.admit(host, at: later)
    let other = StorageClient(initiator: "iqn.2026-11.test:other")
    for _ in 0..<2 {
      let error = #expect(throws: StorageError.self) { try attachment.admit(other, at: later) }
      #expect(error?.code == .conflict)
      #expect(attachment.client == host)
      // Whether or not it has said that it has it.
      try attachment.complete(at: later)
    }
  }

  @Test func aLostExportIsMadeAgainAndALateOneTakenAway() throws {
    var attachment = reserved()
    try attachment.complete(at: later)
    attachment.repair(at: later)
    #expect(attachment.pendingWork == nil, "It never asked for an export.")
    var exported = reserved()
    try exported.admit(host, at: later)
    try exported.complete(at: later)
    exported.repair(at: later)
    #expect(exported.pendingWork == .export)
    try exported.confirm(device: nil, at: later)
    #expect(exported.pendingWork == nil)
    try exported.beginDetaching(at: later)
    try exported.confirmWithdrawn(at: later)
    exported.detachAgain(at: later)
    #expect(exported.pendingWork == .withdraw)
  }

  @Test func whatAComputeNodeHasIsNoClientsToChange() throws {
    var attachment = Attachment.make()
    for change in [
      { (attachment: inout Attachment) throws in try attachment.admit(host, at: later) },
      { try $0.complete(at: later) }, { try $0.announceDetaching(at: later) }, { try $0.takeBackDetaching(at: later) },
    ] {
      let error = #expect(throws: StorageError.self) { try change(&attachment) }
      #expect(error?.code == .conflict)
    }
    #expect(attachment.pendingWork == .connect)
  }

  @Test func onlyNamesOfISCSIAreInitiators() {
    for name in ["iqn.1993-08.org.debian:01:abc", "eui.02004567A425678D", "naa.52004567BA64678D"] {
      #expect(StorageClient.isInitiatorName(name), "\(name)")
    }
    for name in [
      "", "iqn.", "local:node1", "nfs:node1", "host", "iqn.a b", "iqn.a\n", String(repeating: "iqn.", count: 60),
    ] {
      #expect(!StorageClient.isInitiatorName(name), "\(name)")
    }
  }
}
