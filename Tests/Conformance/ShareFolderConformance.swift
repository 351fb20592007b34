import PumiceModel
import Testing

@testable import PumiceAgent

/// Holds a share's folder to what `ShareFolder` promises. The folder is empty at first, and afterwards.
struct ShareFolderConformance: Sendable {
  /// What the folder is expected to be able to do.
  struct Abilities: Sendable {
    var sharesBytes = false
    var takesAllBlocks = false
  }

  let folder: any ShareFolder
  let abilities: Abilities
  /// Runs a script on the server, with `$share` as the folder.
  let onServer: @Sendable (_ script: String) async throws -> String

  init(
    _ folder: any ShareFolder, _ abilities: Abilities = Abilities(),
    onServer: @escaping @Sendable (_ script: String) async throws -> String
  ) {
    self.folder = folder
    self.abilities = abilities
    self.onServer = onServer
  }

  func check() async throws {
    try await filesAreMadeGrownAndCut()
    try await smallFilesAreWrittenWhole()
    try await partsAreReadAndWritten()
    try await openFilesAreReadAndWritten()
    try await namesChange()
    try await whatIsNotThereIsRefused()
    try await noNameLeadsElsewhere()
    try await whatIsNoRegularFileIsNeverOpened()
    try await bytesAreShared()
    try await allBlocksAreTaken()
    let (total, free) = try await folder.capacity()
    #expect(.zero < free && free <= total)
    try await folder.sync()
    #expect(try await folder.files().keys.sorted().isEmpty)
  }

  private func filesAreMadeGrownAndCut() async throws {
    #expect(try await folder.status(of: "a") == nil)
    try await folder.create("a")
    await expect(.conflict) { try await folder.create("a") }
    let new = try await folder.status(of: "a")
    #expect(new?.size == .zero)
    #expect(try await onServer("stat -c %a $share/a") == "660\n")

    try await folder.grow("a", to: .mebibytes(8), thick: false)
    try await folder.grow("a", to: .mebibytes(4), thick: false)
    let grown = try await folder.status(of: "a")
    #expect(grown?.size == .mebibytes(8))
    #expect(try #require(grown).allocated < .mebibytes(1))
    #expect(grown?.inode == new?.inode)
    #expect(try await folder.read("a", 4096, at: (8 << 20) - 4096) == [UInt8](repeating: 0, count: 4096))

    try await folder.shrink("a", to: .mebibytes(9))
    #expect(try await folder.status(of: "a")?.size == .mebibytes(8))
    try await folder.shrink("a", to: .mebibytes(2))
    #expect(try await folder.status(of: "a")?.size == .mebibytes(2))
    #expect(try await onServer("stat -c %s $share/a") == "\(2 << 20)\n")
    #expect(try await folder.files().keys.sorted() == ["a"])
    for _ in 0..<2 { try await folder.remove("a") }
    #expect(try await folder.files().keys.sorted().isEmpty)
  }

  private func smallFilesAreWrittenWhole() async throws {
    #expect(try await folder.read("s") == nil)
    try await folder.write(Array("a longer text".utf8), to: "s")
    try await folder.write(Array("short".utf8), to: "s")
    #expect(try await folder.read("s") == Array("short".utf8))
    #expect(try await onServer("cat $share/s; stat -c :%a $share/s") == "short:660\n")
    try await folder.write([], to: "s")
    #expect(try await folder.read("s") == [])
    try await folder.remove("s")
  }

  private func partsAreReadAndWritten() async throws {
    try await folder.write(Array("0123456789".utf8), to: "p")
    try await folder.write(Array("ab".utf8), to: "p", at: 4)
    #expect(try await folder.read("p", 4, at: 3) == Array("3ab6".utf8))
    #expect(try await folder.read("p", 100, at: 8) == Array("89".utf8))
    #expect(try await folder.read("p", 4, at: 10) == [])
    #expect(try await folder.read("missing", 4, at: 0) == nil)
    try await folder.sync("p")
    try await folder.remove("p")
  }

  private func openFilesAreReadAndWritten() async throws {
    try await folder.create("o")
    let file = try await folder.open("o")
    let piece = [UInt8](repeating: 7, count: 1 << 20)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for number in 0..<4 {
        group.addTask { try await file.write(piece, at: Int64(number) << 20) }
      }
      try await group.waitForAll()
    }
    try await file.sync()
    #expect(try await file.read(10, at: (4 << 20) - 5) == [UInt8](repeating: 7, count: 5))
    try await file.close()
    await #expect(throws: StorageError.self) { _ = try await file.read(1, at: 0) }
    #expect(try await onServer("stat -c %s $share/o") == "\(4 << 20)\n")
    try await folder.remove("o")
  }

  private func namesChange() async throws {
    try await folder.write([1], to: "n1")
    try await folder.write([2], to: "n2")
    try await folder.rename("n1", to: "n2")
    #expect(try await folder.files().keys.sorted() == ["n2"])
    #expect(try await folder.read("n2") == [1])
    try await folder.remove("n2")
  }

  private func whatIsNotThereIsRefused() async throws {
    await expect(.notFound) { try await folder.grow("no", to: .mebibytes(1), thick: false) }
    await expect(.notFound) { try await folder.shrink("no", to: .zero) }
    await expect(.notFound) { try await folder.write([1], to: "no", at: 0) }
    await expect(.notFound) { try await folder.sync("no") }
    await expect(.notFound) { try await folder.rename("no", to: "yes") }
    await expect(.notFound) { _ = try await folder.open("no") }
  }

  private func noNameLeadsElsewhere() async throws {
    _ = try await onServer("mkdir $share/sub && echo secret >$share/../outside")
    for name in ["", ".", "..", "../outside", "/etc/passwd", "sub/../../outside", "a\nb", "a\0b", "a\u{7f}b"] {
      await #expect(throws: StorageError.self, "\(name)") { _ = try await folder.read(name) }
      await #expect(throws: StorageError.self, "\(name)") { try await folder.create(name) }
      await #expect(throws: StorageError.self, "\(name)") { try await folder.write([1], to: name) }
      await #expect(throws: StorageError.self, "\(name)") { try await folder.remove(name) }
    }
    #expect(try await onServer("cat $share/../outside; rm $share/../outside; rmdir $share/sub") == "secret\n")
  }

  private func whatIsNoRegularFileIsNeverOpened() async throws {
    _ = try await onServer(
      "cd $share && echo secret >real && ln -s real link && ln -s /etc/passwd far && mkdir dir && mkfifo fifo")
    for name in ["link", "far", "dir", "fifo"] {
      await expect(.conflict) { _ = try await folder.status(of: name) }
      let bytes = try? await folder.read(name)
      #expect(bytes == nil, "\(name)")
      await #expect(throws: StorageError.self, "\(name)") { _ = try await folder.read(name) }
      await #expect(throws: StorageError.self, "\(name)") { _ = try await folder.open(name) }
      await #expect(throws: StorageError.self, "\(name)") { try await folder.write([1], to: name, at: 0) }
      await #expect(throws: StorageError.self, "\(name)") {
        try await folder.grow(name, to: .mebibytes(1), thick: false)
      }
      await #expect(throws: StorageError.self, "\(name)") { try await folder.shrink(name, to: .zero) }
    }
    // A name that somebody has made a link of is replaced, and not written through.
    try await folder.write([1], to: "link")
    #expect(try await folder.read("link") == [1])
    #expect(try await onServer("cat $share/real; rm -r $share/*") == "secret\n")
  }

  private func bytesAreShared() async throws {
    try await folder.write(Array("before".utf8), to: "b")
    let isShared = try await folder.share("b", as: "b2")
    #expect(isShared == abilities.sharesBytes)
    if isShared {
      try await folder.write(Array("after!".utf8), to: "b", at: 0)
      #expect(try await folder.read("b2") == Array("before".utf8))
      #expect(try await onServer("stat -c %a $share/b2") == "660\n")
      await expect(.conflict) { _ = try await folder.share("b", as: "b2") }
      #expect(try await folder.read("b2") == Array("before".utf8))
      await expect(.notFound) { _ = try await folder.share("no", as: "b3") }
    }
    try await folder.remove("b2")
    #expect(try await folder.files().keys.sorted() == ["b"])
    try await folder.remove("b")
  }

  private func allBlocksAreTaken() async throws {
    try await folder.write([1, 2, 3], to: "t")
    if abilities.takesAllBlocks {
      try await folder.grow("t", to: .mebibytes(8), thick: true)
      let status = try #require(try await folder.status(of: "t"))
      #expect(status.size == .mebibytes(8) && status.allocated >= .mebibytes(8))
      #expect(try await folder.read("t", 5, at: 0) == [1, 2, 3, 0, 0])
      let (_, free) = try await folder.capacity()
      await expect(.noSpace) { try await folder.grow("t", to: ByteCount(free.bytes * 2), thick: true) }
      #expect(try await folder.status(of: "t")?.size == .mebibytes(8))
    } else {
      await expect(.unsupported) { try await folder.grow("t", to: .mebibytes(8), thick: true) }
      #expect(try await folder.status(of: "t")?.size == ByteCount(3))
    }
    try await folder.remove("t")
  }

  private func expect(_ code: StorageError.Code, _ body: () async throws -> Void) async {
    let error = await #expect(throws: StorageError.self) { try await body() }
    #expect(error?.code == code, "\(error?.description ?? "")")
    if let error { #expect(error.message.hasSuffix("."), "\(error.message)") }
  }
}
