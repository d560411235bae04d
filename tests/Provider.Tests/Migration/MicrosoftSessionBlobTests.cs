using CsCheck;
using RedisSessions.Migration;
using RedisSessions.Storage;
using StackExchange.Redis;

namespace RedisSessions.Tests.Migration;

public sealed class MicrosoftSessionBlobTests
{
    private static byte[] BlobOf(params (string Name, byte[] Value)[] fields)
    {
        var entries = new List<HashEntry> { new("@v", 1), new("@c", 1) };
        entries.AddRange(fields.Select(field => new HashEntry(FieldNames.Encode(field.Name), field.Value)));
        return MicrosoftSessionBlob.Serialize(Guid.NewGuid(), SessionSnapshot.Parse(entries.ToArray()));
    }

    [Fact]
    public void What_is_serialized_is_parsed()
    {
        var blob = BlobOf(("", []), ("name", [1, 2, 3]), ("@sign", new byte[70_000]), (new string('é', 30_000), [9]));
        Assert.True(MicrosoftSessionBlob.IsWellFormed(blob));
        var fields = new Dictionary<string, byte[]?>();
        MicrosoftSessionBlob.CopyTo(blob, fields);
        Assert.Equal(4, fields.Count);
        Assert.Equal([1, 2, 3], fields["name"]);
        Assert.Equal(70_000, fields["@sign"]!.Length);
        Assert.Equal([9], fields[new string('é', 30_000)]);
    }

    [Fact]
    public void Every_truncation_is_refused()
    {
        var blob = BlobOf(("a", [1, 2, 3]), ("b", [4]));
        for (var length = 0; length < blob.Length; length++)
        {
            Assert.False(MicrosoftSessionBlob.IsWellFormed(blob.AsSpan(0, length)));
        }
    }

    [Fact]
    public void A_hundred_thousand_mutated_blobs_throw_nothing_and_allocate_no_more_than_twice_their_size()
    {
        var original = BlobOf(("name", new byte[200]), ("cart", new byte[500]), ("count", new byte[4]), ("user", new byte[100]));
        var mutation = Gen.Select(Gen.Int[0, original.Length - 1], Gen.Byte).Array[1, 8];
        var length = Gen.Int[0, original.Length + 20];
        var fields = new Dictionary<string, byte[]?>(16);
        var accepted = 0;
        Gen.Select(mutation, length).Sample(
            (changes, size) =>
            {
                var blob = new byte[size];
                original.AsSpan(0, Math.Min(size, original.Length)).CopyTo(blob);
                foreach (var (position, value) in changes)
                {
                    if (position < size)
                    {
                        blob[position] = value;
                    }
                }

                fields.Clear();
                var before = GC.GetAllocatedBytesForCurrentThread();
                if (!MicrosoftSessionBlob.IsWellFormed(blob))
                {
                    return GC.GetAllocatedBytesForCurrentThread() == before;
                }

                MicrosoftSessionBlob.CopyTo(blob, fields);
                accepted++;
                return GC.GetAllocatedBytesForCurrentThread() - before <= 2 * size;
            },
            iter: 100_000,
            threads: 1,
            seed: "0000KOIPe036");
        Assert.InRange(accepted, 1_000, 99_000);
    }
}
