//! The calls into libwebp: the only file with `unsafe`. Its functions are safe to call with any bytes and
//! any sizes: they check what libwebp does not.
#![allow(
    unsafe_code,
    reason = "libwebp is a C library, and no decoder in Rust is as complete"
)]

use std::ffi::c_int;

use libwebp_sys as sys;

use crate::{Meter, Size};

/// Why libwebp gave no pixels.
#[derive(Debug, Clone, Copy)]
pub(crate) enum DecodeFailure {
    /// It could not get memory for a picture of so many bytes.
    OutOfMemory(u64),
    /// What is wrong with the file.
    Damaged(&'static str),
}

/// Decodes one coded picture (`VP8 ` or `VP8L` chunk, perhaps after an `ALPH` chunk) that must have the size
/// `stored`, scaled to `size`, into `pixels`: RGBA if `alpha`, else RGB, exactly as long as that takes.
pub(crate) fn decode(
    data: &[u8],
    stored: Size,
    size: Size,
    alpha: bool,
    pixels: &mut [u8],
) -> Result<(), DecodeFailure> {
    let channels = if alpha { 4 } else { 3 };
    if pixels.len() != size.bytes(channels) || size.pixels() == 0 {
        return Err(WRONG_SIZE);
    }
    let mut config = prepared(data, stored)?;
    if size != stored {
        config.options.use_scaling = 1;
        config.options.scaled_width = size.width as i32;
        config.options.scaled_height = size.height as i32;
    }
    config.output.colorspace = if alpha {
        sys::WEBP_CSP_MODE::MODE_RGBA
    } else {
        sys::WEBP_CSP_MODE::MODE_RGB
    };
    config.output.u.RGBA = sys::WebPRGBABuffer {
        rgba: pixels.as_mut_ptr(),
        stride: (size.width as usize * channels) as i32,
        size: pixels.len(),
    };
    run(data, config, size.bytes(channels))
}

/// Decodes one lossy picture of the size `stored` into luma and the two colours, whose sides are half as long, rounded up, without
/// smoothing the edges of blocks: what our own decoder is held against.
#[cfg(test)]
pub(crate) fn decode_channels(
    data: &[u8],
    stored: Size,
    [luma, blue, red]: [&mut [u8]; 3],
) -> Result<(), DecodeFailure> {
    let color = crate::encode::color_size(stored, true);
    let expected = (stored.bytes(1), color.bytes(1));
    if (luma.len(), blue.len()) != expected || red.len() != blue.len() || stored.pixels() == 0 {
        return Err(WRONG_SIZE);
    }
    let mut config = prepared(data, stored)?;
    config.options.bypass_filtering = 1;
    config.output.colorspace = sys::WEBP_CSP_MODE::MODE_YUV;
    config.output.u.YUVA = sys::WebPYUVABuffer {
        y: luma.as_mut_ptr(),
        u: blue.as_mut_ptr(),
        v: red.as_mut_ptr(),
        a: std::ptr::null_mut(),
        y_stride: stored.width as i32,
        u_stride: color.width as i32,
        v_stride: color.width as i32,
        a_stride: 0,
        y_size: luma.len(),
        u_size: blue.len(),
        v_size: red.len(),
        a_size: 0,
    };
    run(data, config, expected.0 + 2 * expected.1)
}

const WRONG_SIZE: DecodeFailure = DecodeFailure::Damaged("its size is not what was expected");

/// A decoder's settings for a picture that must have the size `stored`, to be decoded to memory of the caller.
fn prepared(data: &[u8], stored: Size) -> Result<sys::WebPDecoderConfig, DecodeFailure> {
    let mut config = sys::WebPDecoderConfig::new()
        .map_err(|()| DecodeFailure::Damaged("libwebp's version differs"))?;
    // SAFETY: `data` is valid for reads of `data.len()` bytes and `config.input` for writes; libwebp keeps
    // neither pointer.
    let status = unsafe { sys::WebPGetFeatures(data.as_ptr(), data.len(), &raw mut config.input) };
    checked(status, stored.bytes(4))?;
    // libwebp has no pixel limit of its own: this is where ours is enforced on what it is about to decode.
    if (config.input.width, config.input.height) != (stored.width as i32, stored.height as i32) {
        return Err(DecodeFailure::Damaged("its headers contradict each other"));
    }
    config.output.is_external_memory = 1;
    Ok(config)
}

/// Decodes to where `config` says. `bytes` is what it takes, for the message if memory is short.
fn run(data: &[u8], mut config: sys::WebPDecoderConfig, bytes: usize) -> Result<(), DecodeFailure> {
    // SAFETY: `data` is valid for reads of its length. The output is external memory that the two callers borrow for
    // writes of the sizes they state; libwebp checks strides, sizes and the (scaled) dimensions against these before it
    // writes, and fails otherwise. `config` was initialised by libwebp, and all of it outlives the call.
    let status = unsafe { sys::WebPDecode(data.as_ptr(), data.len(), &raw mut config) };
    // SAFETY: the buffer was initialised by libwebp; the memory being external, only what libwebp itself
    // took is freed.
    unsafe { sys::WebPFreeDecBuffer(&raw mut config.output) };
    checked(status, bytes)
}

fn checked(status: sys::VP8StatusCode, bytes: usize) -> Result<(), DecodeFailure> {
    use sys::VP8StatusCode as Status;
    match status {
        Status::VP8_STATUS_OK => Ok(()),
        Status::VP8_STATUS_OUT_OF_MEMORY if is_short_of(bytes) => {
            Err(DecodeFailure::OutOfMemory(bytes as u64))
        }
        // What libwebp says of an alpha plane that it can't begin to read.
        Status::VP8_STATUS_OUT_OF_MEMORY => {
            Err(DecodeFailure::Damaged("its transparency is damaged"))
        }
        Status::VP8_STATUS_NOT_ENOUGH_DATA | Status::VP8_STATUS_SUSPENDED => {
            Err(DecodeFailure::Damaged("ends before its last pixel"))
        }
        Status::VP8_STATUS_UNSUPPORTED_FEATURE => {
            Err(DecodeFailure::Damaged("uses an unknown feature"))
        }
        _ => Err(DecodeFailure::Damaged("its coded data breaks the rules")),
    }
}

/// Whether memory for so many bytes can't be had.
fn is_short_of(bytes: usize) -> bool {
    Vec::<u8>::new().try_reserve_exact(bytes).is_err()
}

/// How a picture is encoded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    /// 1 to 100.
    pub quality: u8,
    /// 0 (fastest) to 6 (smallest).
    pub method: u8,
}

/// Encodes `pixels`, RGBA if `alpha`, else RGB, as a lossy picture of at most 16,383 pixels a side. Fails soon after `meter`
/// ends the work.
pub(crate) fn encode(
    pixels: &[u8],
    size: Size,
    alpha: bool,
    settings: Settings,
    meter: &Meter,
) -> Result<Vec<u8>, String> {
    let mut config = sys::WebPConfig::new().map_err(|()| "libwebp's version differs".to_owned())?;
    config.quality = f32::from(settings.quality);
    config.method = settings.method.into();
    encode_with(pixels, size, alpha, &config, meter)
}

/// The same with all of libwebp's settings, which it checks.
pub(crate) fn encode_with(
    pixels: &[u8],
    size: Size,
    alpha: bool,
    config: &sys::WebPConfig,
    meter: &Meter,
) -> Result<Vec<u8>, String> {
    let channels = if alpha { 4 } else { 3 };
    if pixels.len() != size.bytes(channels) || size.pixels() == 0 {
        return Err("the pixels do not match the size".to_owned());
    }
    let mut picture =
        Picture(sys::WebPPicture::new().map_err(|()| "libwebp's version differs".to_owned())?);
    picture.0.width = size.width as i32;
    picture.0.height = size.height as i32;
    let stride = (size.width as usize * channels) as i32;
    let import = if alpha {
        sys::WebPPictureImportRGBA
    } else {
        sys::WebPPictureImportRGB
    };
    // SAFETY: `pixels` holds `height` rows of `stride` bytes, as was checked above; libwebp copies them into
    // memory of its own, which `Picture` frees.
    if unsafe { import(&raw mut picture.0, pixels.as_ptr(), stride) } == 0 {
        return Err("libwebp could not take the pixels".to_owned());
    }
    let mut writer = Writer::new();
    picture.0.writer = Some(sys::WebPMemoryWrite);
    picture.0.custom_ptr = (&raw mut writer.0).cast();
    picture.0.progress_hook = Some(go_on);
    picture.0.user_data = (&raw const *meter).cast_mut().cast();
    // SAFETY: `config` and `picture` were initialised by libwebp. `WebPMemoryWrite` expects `custom_ptr` to
    // be a `WebPMemoryWriter`, which it is, and `go_on` that `user_data` is a `Meter`; both outlive the call, which
    // stays on this thread.
    if unsafe { sys::WebPEncode(config, &raw mut picture.0) } == 0 {
        return Err(format!("{:?}", picture.0.error_code));
    }
    Ok(writer.written().to_vec())
}

/// Says after each row of macroblocks whether libwebp shall go on.
extern "C" fn go_on(_percent: c_int, picture: *const sys::WebPPicture) -> c_int {
    // SAFETY: libwebp calls this with the picture that it encodes, whose `user_data` was set to a meter that outlives the
    // call and is only read.
    let meter = unsafe { &*(*picture).user_data.cast::<Meter>() };
    meter.step(1).is_ok().into()
}

/// A picture whose memory libwebp took and is given back.
struct Picture(sys::WebPPicture);

impl Drop for Picture {
    fn drop(&mut self) {
        // SAFETY: it was initialised by libwebp and is freed once.
        unsafe { sys::WebPPictureFree(&raw mut self.0) };
    }
}

/// The encoder's output in memory of libwebp.
struct Writer(sys::WebPMemoryWriter);

impl Writer {
    fn new() -> Self {
        let mut writer = sys::WebPMemoryWriter {
            mem: std::ptr::null_mut(),
            size: 0,
            max_size: 0,
            pad: [0],
        };
        // SAFETY: `writer` is valid for writes.
        unsafe { sys::WebPMemoryWriterInit(&raw mut writer) };
        Self(writer)
    }

    fn written(&self) -> &[u8] {
        if self.0.mem.is_null() {
            return &[];
        }
        // SAFETY: libwebp has written `size` bytes at `mem`, and nothing changes them while `self` is borrowed.
        unsafe { std::slice::from_raw_parts(self.0.mem, self.0.size) }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // SAFETY: it was initialised by libwebp and is cleared once.
        unsafe { sys::WebPMemoryWriterClear(&raw mut self.0) };
    }
}
