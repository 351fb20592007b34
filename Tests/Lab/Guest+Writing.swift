import Foundation
import TestBed
import Testing

extension Guest {
  /// Does the work while the guest writes past its cache, and reads what it has written, in the second half of a disk of 1 GiB.
  /// None of that may fail, every read must give what was written last, and there must have been some.
  func whileWriting<Result>(to disk: Disk, _ work: () async throws -> Result) async throws -> Result {
    try await run("touch /tmp/go")
    async let rounds = run(
      """
      rounds=0
      while [ -e /tmp/go ]; do
        yes "round $rounds" | head -c 1048576 >/tmp/round
        dd if=/tmp/round of=/dev/\(disk.name) bs=64k seek=8192 oflag=direct conv=notrunc || exit
        dd if=/dev/\(disk.name) bs=64k skip=8192 count=16 iflag=direct | cmp - /tmp/round || exit
        rounds=$((rounds + 1))
      done 2>/tmp/complaints
      echo $rounds
      """, within: .seconds(180))
    let result = try await work()
    try await run("rm /tmp/go")
    #expect(try await Int(rounds.trimmingCharacters(in: .whitespacesAndNewlines)) ?? 0 > 0)
    return result
  }
}
