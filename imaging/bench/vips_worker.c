/* libvips in a process of its own, for bench-imaging: reads one request a line on stdin, writes one answer a line on stdout.
 * Fields are separated by tabs. An answer begins with "ok", or is "error" and why.
 *
 *   thumbnail  input width height suffix repeats output   ->  ok bytes highwater resident nanoseconds...
 *   decode     input output                               ->  ok width height bands
 *   make       input width height output                  ->  ok
 *   version                                               ->  ok version
 *
 * thumbnail   from the bytes in memory to the bytes in memory, through vips_thumbnail_buffer with its shrink-on-load; `suffix` is
 *             the format and its options as vips_image_write_to_buffer takes them, `output` is where the first result goes, or "-".
 *             Answers the bytes of the result, the most memory that libvips itself had allocated in this process, how much the
 *             peak of the resident memory grew (KiB), and the CPU time of each repeat, of all threads.
 * decode      the whole picture as raw 8-bit samples.
 * make        an input for the benchmark: shrunk to cover width x height and cut to it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <vips/vips.h>

#define MAX_FIELDS 7

/* The input, kept from one request to the next. */
static char *input_path = NULL;
static gchar *input = NULL;
static gsize input_length = 0;

static guint64
cpu_nanoseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (guint64) now.tv_sec * 1000000000 + (guint64) now.tv_nsec;
}

/* Of this program alone: getrusage's figure begins with that of the process it was started from. */
static long
peak_resident_kib(void)
{
	FILE *status = fopen("/proc/self/status", "r");
	char line[256];
	long kib = 0;

	while (status && fgets(line, sizeof(line), status))
		if (sscanf(line, "VmHWM: %ld kB", &kib) == 1)
			break;
	if (status)
		fclose(status);
	return kib;
}

static int
load_input(const char *path)
{
	if (input_path && strcmp(path, input_path) == 0)
		return 0;
	g_free(input);
	g_free(input_path);
	input = NULL;
	input_path = NULL;
	if (!g_file_get_contents(path, &input, &input_length, NULL)) {
		vips_error("worker", "cannot read %s", path);
		return -1;
	}
	input_path = g_strdup(path);
	return 0;
}

/* One result, which the caller frees. The size is forced, so that it is exactly ours and both are judged by one ideal; callers
 * ask for the picture's own aspect ratio, so nothing is distorted by more than the rounding of a side. */
static int
render(int width, int height, const char *suffix, void **bytes, size_t *length)
{
	VipsImage *image = NULL;
	int failed;

	if (vips_thumbnail_buffer(input, input_length, &image, width,
			"height", height, "size", VIPS_SIZE_FORCE, NULL))
		return -1;
	failed = vips_image_write_to_buffer(image, suffix, bytes, length, NULL);
	g_object_unref(image);
	return failed;
}

static int
thumbnail(char **field)
{
	int width = atoi(field[2]);
	int height = atoi(field[3]);
	int repeats = atoi(field[5]);
	GString *times = g_string_new(NULL);
	size_t length = 0;
	long resident;
	long grown;
	int i;

	if (load_input(field[1])) {
		g_string_free(times, TRUE);
		return -1;
	}
	resident = peak_resident_kib();
	for (i = 0; i < repeats; i++) {
		guint64 begin = cpu_nanoseconds();
		void *bytes = NULL;

		if (render(width, height, field[4], &bytes, &length)) {
			g_string_free(times, TRUE);
			return -1;
		}
		g_string_append_printf(times, "\t%" G_GUINT64_FORMAT, cpu_nanoseconds() - begin);
		if (i == 0 && strcmp(field[6], "-") != 0 &&
			!g_file_set_contents(field[6], bytes, (gssize) length, NULL))
			vips_error("worker", "cannot write %s", field[6]);
		g_free(bytes);
	}
	/* The kernel's figure is a little behind, so that the later one can be the smaller one. */
	grown = peak_resident_kib() - resident;
	printf("ok\t%zu\t%zu\t%ld%s\n", length, vips_tracked_get_mem_highwater(), MAX(grown, 0), times->str);
	g_string_free(times, TRUE);
	return 0;
}

static int
decode(char **field)
{
	VipsImage *image = vips_image_new_from_file(field[1], NULL);
	int failed;

	if (!image)
		return -1;
	failed = vips_rawsave(image, field[2], NULL);
	if (!failed)
		printf("ok\t%d\t%d\t%d\n", image->Xsize, image->Ysize, image->Bands);
	g_object_unref(image);
	return failed;
}

static int
make(char **field)
{
	VipsImage *image = NULL;
	int failed;

	if (vips_thumbnail(field[1], &image, atoi(field[2]), "height", atoi(field[3]),
			"crop", VIPS_INTERESTING_CENTRE, "size", VIPS_SIZE_DOWN, NULL))
		return -1;
	failed = vips_image_write_to_file(image, field[4], NULL);
	g_object_unref(image);
	if (!failed)
		printf("ok\n");
	return failed;
}

static int
answer(char **field, int fields)
{
	if (strcmp(field[0], "thumbnail") == 0 && fields == 7)
		return thumbnail(field);
	if (strcmp(field[0], "decode") == 0 && fields == 3)
		return decode(field);
	if (strcmp(field[0], "make") == 0 && fields == 5)
		return make(field);
	if (strcmp(field[0], "version") == 0 && fields == 1) {
		printf("ok\t%s\n", vips_version_string());
		return 0;
	}
	vips_error("worker", "unknown request");
	return -1;
}

/* Cuts the line at its tabs. */
static int
split(char *line, char **field)
{
	int fields = 0;
	char *next = line;

	line[strcspn(line, "\n")] = '\0';
	while (next && fields < MAX_FIELDS) {
		field[fields++] = next;
		next = strchr(next, '\t');
		if (next)
			*next++ = '\0';
	}
	return fields;
}

int
main(int argc, char **argv)
{
	char *line = NULL;
	size_t capacity = 0;

	if (argc != 1 || VIPS_INIT(argv[0]))
		vips_error_exit("vips-worker takes no arguments");
	/* One thread, and each repeat does its work anew. */
	vips_concurrency_set(1);
	vips_cache_set_max(0);

	while (getline(&line, &capacity, stdin) > 0) {
		char *field[MAX_FIELDS];

		if (answer(field, split(line, field))) {
			char *why = g_strdup(vips_error_buffer());

			printf("error\t%s\n", g_strdelimit(g_strstrip(why), "\n\t", ' '));
			g_free(why);
		}
		vips_error_clear();
		fflush(stdout);
	}
	free(line);
	vips_shutdown();
	return 0;
}
